import path from 'node:path';
import type { Row, Table } from '../../experiments/load.js';
import type { LogHeader } from './log-header.js';
import type { PublishedLog } from './published-log.js';

const nameOf = (file: string) => path.posix.basename(file.replaceAll('\\', '/'));

/**
 * The row that a published log is of; null where neither its name nor its header tells.
 *
 * The name under which it is published says it for certain. The name of the experiment does where it is that of a row: some
 * rows were trained under another name than they are published under.
 * @param file As it was given; it may be called otherwise than the published one.
 */
export function rowOfLog({ experimentName }: LogHeader, file: string, tables: readonly Table[]): Row | null {
  const rows = tables.flatMap((table) => table.rows);
  const name = nameOf(file);
  const called = /^(.+?)[_-]\d{8}_\d{6}\.log\.json$/.exec(name)?.[1] ?? null;
  return (
    rows.find(({ log }) => log !== null && nameOf(log) === name) ??
    rows.find(({ id }) => id === experimentName) ??
    rows.find(({ id }) => id === called) ??
    null
  );
}

/**
 * Iterations of a log's schedule: as it states them, as its row has them, or up to its last line where neither is known. One by
 * epoch is not its row's, whose schedule is in iterations.
 */
export function scheduleOfLog(
  { header, train, validation, reading: { epochs } }: PublishedLog,
  row: Row | null,
): number {
  const byEpoch = epochs === null || header.epochs === null ? undefined : header.epochs * epochs.iterationsPerEpoch;
  const stated = header.recipe.get('training.iterations') ?? byEpoch;
  const expected = stated ?? (epochs === null ? row?.recipe.training.iterations : undefined);
  const logged = Math.max(train.at(-1)?.iteration ?? 0, validation.at(-1)?.iteration ?? 0);
  return Math.max(typeof expected === 'number' ? expected : 1, logged);
}
