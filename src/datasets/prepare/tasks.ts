import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import type { Size } from '../../data/image.js';
import type { SplitEntry } from '../../data/split.js';
import { crc32 } from '../../support/checksums.js';
import { UserError } from '../../support/errors.js';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import { checkEntry } from '../check.js';
import { convert, isFileAtFault, remedyOf } from './convert.js';
import type { Finished } from './journal.js';
import type { FileConversion } from './recipe.js';
import { FETCH_AGAIN } from './source.js';

/** What the files of a data set have in common. */
export interface PrepareSettings {
  readonly dataset: Dataset;
  /** The data set's folder. */
  readonly folder: string;
  /** Size that every image must have; null if they differ. */
  readonly size: Size | null;
}

/** A file to make. */
export interface ConvertTask {
  readonly kind: 'convert';
  readonly content: { readonly bytes: Uint8Array } | { readonly file: string };
  readonly crc32: number | null;
  /** The file of the download, as errors name it. */
  readonly origin: string;
  readonly conversion: FileConversion;
  readonly target: string;
}

/** A file to make, or a finished image and its label to check. */
export type PrepareTask = ConvertTask | { readonly kind: 'check'; readonly entry: SplitEntry };

async function read({ content }: ConvertTask): Promise<Buffer> {
  if ('bytes' in content) return Buffer.from(content.bytes.buffer, content.bytes.byteOffset, content.bytes.byteLength);
  try {
    return await readFile(content.file);
  } catch (error) {
    throw explainFileError(error, content.file, 'read');
  }
}

async function make(task: ConvertTask, { dataset, folder }: PrepareSettings): Promise<Finished> {
  const { conversion, origin, target } = task;
  const bytes = await read(task);
  if (task.crc32 !== null && crc32(bytes) !== task.crc32) {
    throw new UserError(`${origin}: the archive is damaged: the checksum of this member is wrong.`, FETCH_AGAIN);
  }
  let made: Uint8Array;
  try {
    made = await convert(conversion, bytes, dataset.palette);
  } catch (error) {
    if (!isFileAtFault(error)) throw error;
    throw new UserError(`${origin}: ${endSentence(error.message)}`, remedyOf(error), { cause: error });
  }
  const file = path.join(folder, target);
  const kept = 'file' in task.content && path.resolve(task.content.file) === path.resolve(file);
  if (!kept) await writeFileAtomic(file, made);
  return { target, bytes: made.length, sha256: createHash('sha256').update(made).digest('hex'), kept };
}

/** Checks an image and its label as `fcn datasets verify` does. */
async function check(entry: SplitEntry, { dataset, size }: PrepareSettings): Promise<null> {
  const {
    problems: [problem],
  } = await checkEntry(entry, dataset, { fast: false, size });
  if (problem) throw new UserError(problem.message);
  return null;
}

/**
 * Makes or checks a file: in a worker thread, or in the main one if there are few.
 * @returns The file made; null after a check.
 * @throws UserError for a file that cannot be read, converted or written, or is not as it should be.
 */
export async function doTask(task: PrepareTask, settings: PrepareSettings): Promise<Finished | null> {
  return task.kind === 'convert' ? make(task, settings) : check(task.entry, settings);
}
