import { UserError } from '../support/errors.js';
import { sha256File } from '../support/files.js';

/**
 * Whether this process sees the weights that process 0 has.
 * @param sha256 Of process 0's file.
 * @throws UserError if it does not: folders must be shared between machines.
 */
export async function requireSameWeights(weights: string, sha256: string): Promise<void> {
  const own = await sha256File(weights).catch((error: NodeJS.ErrnoException) => error);
  if (own === sha256) return;
  const what = typeof own === 'string' ? 'is not the same file here' : `cannot be read here (${own.code})`;
  throw new UserError(
    `${weights} ${what}: the processes of a run need the same folders.`,
    'Put runs and weights on a file system that all machines share.',
  );
}
