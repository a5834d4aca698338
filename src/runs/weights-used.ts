import path from 'node:path';
import { explainFileError } from '../support/files.js';
import { sha256File } from '../support/hash.js';
import type { RunRecord } from './record.js';

/** A record names a weights file by its hash; where it lies on a machine says nothing elsewhere. */
export async function describeWeights(
  file: string,
  source: 'trained' | 'given',
  key?: string,
): Promise<NonNullable<RunRecord['weights']>> {
  try {
    return { file: path.basename(file), sha256: await sha256File(file), source, ...(key !== undefined && { key }) };
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}
