import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { SYNTHETIC_MARKER } from '../datasets/synthetic.js';

/**
 * Marks the folder as one of synthetic data of these settings.
 * @throws UserError where it holds other data.
 */
export async function claimFolder(directory: string, settings: object): Promise<void> {
  const marker = path.join(directory, SYNTHETIC_MARKER);
  const content = `${JSON.stringify(settings, null, 2)}\n`;
  let held: string[];
  try {
    held = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, directory, 'read');
    held = [];
  }
  if (held.includes(SYNTHETIC_MARKER)) {
    if ((await readFile(marker, 'utf8')) === content) return;
    throw new UserError(
      `${directory} holds synthetic data made with other settings (see ${marker}).`,
      'Use the same number of images, size and seed, remove the folder, or choose another --data-root.',
    );
  }
  if (held.length > 0) {
    throw new UserError(
      `${directory} holds data that was not generated here (${held.slice(0, 3).join(', ')}).`,
      'Synthetic data is not mixed with other data: choose another --data-root.',
    );
  }
  await writeFileAtomic(marker, content);
}
