import path from 'node:path';
import { hardwareName } from '../../runs/environment.js';
import { KEPT_KINDS, type KeptKind } from '../../runs/kept.js';
import type { RunRecord } from '../../runs/record.js';
import { formatNumber } from '../../support/format.js';
import { entryLines } from '../entries.js';
import { FIGURE_COLUMNS, FIGURES, formatSmallFigure } from '../figures.js';
import { findKeptRecords } from '../records.js';
import { wrap } from '../wrap.js';

/** A kept record in short. */
export interface ListedRecord {
  readonly kind: KeptKind;
  readonly file: string;
  readonly row: string;
  readonly run: string;
  readonly seed: number;
  readonly figures: RunRecord['figures'];
  readonly hardware: string;
  readonly commit: string | null;
}

/** The records that are kept under the results, by kind, oldest first. */
export function listResults(results: string): ListedRecord[] {
  const found = findKeptRecords(results).map(({ file, record }): ListedRecord => {
    const { row, run, seed, figures, environment, code } = record;
    const kind = path.basename(path.dirname(file)) as KeptKind;
    return { kind, file, row, run, seed, figures, hardware: hardwareName(environment), commit: code.commit };
  });
  return KEPT_KINDS.flatMap((kind) => found.filter((record) => record.kind === kind));
}

/**
 * The records of each kind, and of each hardware, under what they are of.
 * @param width Most characters of a line.
 */
export function formatResults(records: readonly ListedRecord[], width: number): string {
  const titleOf = ({ kind, hardware }: ListedRecord) => `${kind}, measured on ${hardware}`;
  const parts = [...new Set(records.map(titleOf))].map((title) => {
    const entries = records
      .filter((record) => titleOf(record) === title)
      .map(({ row, run, seed, figures }) => ({
        name: row,
        lines: [[run, String(seed), ...FIGURES.map((figure) => formatSmallFigure(figures[figure]))]],
      }));
    const { lines } = entryLines(['Row', 'Run', 'Seed', ...FIGURE_COLUMNS], entries, { words: 1, width });
    return [...wrap(title, width), ...lines].join('\n');
  });
  const count = KEPT_KINDS.map((kind) => `${records.filter((record) => record.kind === kind).length} ${kind}`);
  return [...parts, `${formatNumber(records.length, 'record')}: ${count.join(', ')}.`].join('\n\n');
}
