import { loadTables } from '../../experiments/load.js';
import type { ResolveOptions } from '../../experiments/resolve.js';
import { selectRow } from '../../experiments/select.js';
import { wrap } from '../wrap.js';
import { type LoggedFigures, loggedFigures } from './log-figures.js';
import { formatKnowledge } from './log-format.js';
import { type LogKnowledge, logKnowledge } from './log-knowledge.js';
import { rowOfLog } from './log-row.js';
import { readPublishedLog } from './published-log.js';

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
