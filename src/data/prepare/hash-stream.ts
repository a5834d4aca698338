import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { explainFileError } from '../../support/files.js';
import type { ReadOptions } from './source.js';

/** SHA-256 of a file's bytes, telling as it goes on how many were read. */
export async function hashStream(file: string, { signal, onBytes }: ReadOptions): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      hash.update(chunk as Buffer);
      onBytes?.((chunk as Buffer).length);
    }
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  return hash.digest('hex');
}
