import { type CheckpointFigures, type MarkedCheckpoints, markedCheckpoints } from '../records/checkpoint-figures.js';
import { recordSchema } from '../records/record.js';
import { readJson } from '../support/json.js';
import { newestIteration, readBest } from '../training/checkpoint-folder.js';
import { LOG_FILE, readEntries, type ValidationLine } from './log.js';
import type { RunReader } from './run-reader.js';

/** mIoU of the evaluation after an iteration of training, from log.jsonl; null if there was none. */
function loggedMIoU(reader: RunReader, iteration: number): number | null {
  const { entries } = readEntries(reader.file(LOG_FILE), 0);
  const line = (entries as Partial<ValidationLine>[]).findLast(
    (entry) => entry.mode === 'val' && entry.iteration === iteration,
  );
  return line?.mIoU ?? null;
}

/**
 * The checkpoints that RUN:last and RUN:best name, from the run's record or, while there is none of a completed training, from the
 * checkpoints themselves. Null if there are none.
 */
export async function markedCheckpointsOf(reader: RunReader): Promise<MarkedCheckpoints | null> {
  const record = recordSchema.safeParse(await readJson(reader.file('record.json'))).data;
  const found = (record === undefined ? null : markedCheckpoints(record)) ?? (await fromFiles(reader));
  if (found === null || found.last.mIoU !== null) return found;
  return { ...found, last: { ...found.last, mIoU: loggedMIoU(reader, found.last.iteration) } };
}

async function fromFiles(reader: RunReader): Promise<MarkedCheckpoints | null> {
  const folder = reader.file('checkpoints');
  const newest = await newestIteration(folder);
  if (newest === null) return null;
  const marked = await readBest(folder);
  const best: CheckpointFigures | null = marked === null ? null : { ...marked, mIoUMsFlip: null };
  const last = best?.iteration === newest ? best : { iteration: newest, mIoU: null, mIoUMsFlip: null };
  return { last, best };
}
