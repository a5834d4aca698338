import type { ResolveOptions } from '../recipe/resolve.js';
import { selectRow } from '../recipe/select.js';
import { loadTables } from '../recipe/tables.js';
import { wrap } from '../terminal/layout.js';
import { formatKnowledge } from './format.js';
import { type LoggedFigures, type LogKnowledge, loggedFigures, logKnowledge, rowOfLog } from './knowledge.js';
import { readPublishedLog } from './read.js';

/** What a log says, and where it differs from the recipe of its row. */
interface ShownLog extends LogKnowledge {
  readonly file: string;
  /** The row that was named; `row` is the one that the log is judged by. */
  readonly besideRow: string;
  /** The row that the log says it is of; null where it does not say. */
  readonly ofRow: string | null;
  readonly figures: LoggedFigures;
}

/**
 * What the log of a training says. It is judged by the row that it says it is of, for another row's images, batch and schedule
 * say nothing of it; where it does not say, by the row that was named.
 * @throws UserError where the row or the file is wrong.
 */
export function describeLog(file: string, options: ResolveOptions): ShownLog {
  const row = selectRow(options.row, options.file);
  const log = readPublishedLog(file);
  // First the table that the row was taken from: it may have a row under a published name.
  const own = rowOfLog(log.header, file, [row.table, ...loadTables()]);
  const besideRow = row.id;
  const ofRow = own?.id ?? null;
  return { file, besideRow, ofRow, figures: loggedFigures(log), ...logKnowledge(log, own ?? row, options.seed) };
}

/** The same for a terminal. */
export function formatLog(log: ShownLog): string {
  const { file, ofRow, besideRow } = log;
  const whose =
    ofRow === null
      ? [`Neither ${file} nor its name says which row it is of: it is taken for a log of ${besideRow}.`]
      : ofRow === besideRow
        ? []
        : [`${file} is the log of another row, ${ofRow}, and is judged by that row, not by ${besideRow}.`];
  return [...whose.map((text) => wrap(text).join('\n')), formatKnowledge(log, log.figures)].join('\n\n');
}
