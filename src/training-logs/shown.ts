import type { ResolveOptions } from '../recipe/resolve.js';
import { selectRow } from '../recipe/select.js';
import { loadTables } from '../recipe/tables.js';
import { wrap } from '../terminal/layout.js';
import { formatKnowledge } from './format.js';
import { type LoggedFigures, type LogKnowledge, loggedFigures, logKnowledge, rowOfLog } from './knowledge.js';
import { readPublishedLog } from './read.js';

/** What a log says, beside a row's recipe. */
export interface ShownLog extends LogKnowledge {
  readonly file: string;
  /** The row that the log says it is of; null where it does not say. */
  readonly ofRow: string | null;
  readonly figures: LoggedFigures;
}

/**
 * What the log of a training says, beside the recipe of a row.
 * @throws UserError where the row or the file is wrong.
 */
export function describeLog(file: string, options: ResolveOptions): ShownLog {
  const row = selectRow(options.row, options.file);
  const log = readPublishedLog(file);
  const ofRow = rowOfLog(log.header, file, loadTables())?.id ?? null;
  return { file, ofRow, figures: loggedFigures(log), ...logKnowledge(log, row, options.seed) };
}

/** The same for a terminal. */
export function formatLog(log: ShownLog): string {
  const { file, ofRow, row } = log;
  const whose =
    ofRow === null
      ? [`Neither ${file} nor its name says of which row it is: it is taken for a log of ${row}.`]
      : ofRow === row
        ? []
        : [`${file} is the log of another row, ${ofRow}: it is set beside ${row} all the same.`];
  return [...whose.map((text) => wrap(text).join('\n')), formatKnowledge(log, log.figures)].join('\n\n');
}
