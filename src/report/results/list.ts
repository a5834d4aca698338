import path from 'node:path';
import { hardwareName } from '../../runs/environment.js';
import { KEPT_KINDS, type KeptKind } from '../../runs/kept.js';
import type { RunRecord } from '../../runs/record.js';
import { FIGURES, formatSmallFigure } from '../figures.js';
import { terminalTable } from '../layout.js';
import { findKeptRecords } from '../records.js';

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

export function formatResults(records: readonly ListedRecord[]): string {
  const count = KEPT_KINDS.map((kind) => `${records.filter((record) => record.kind === kind).length} ${kind}`);
  const table = terminalTable({
    head: ['Kind', 'Row', 'Run', 'Seed', 'Mem', 'fps', 'mIoU', 'ms+flip', 'Hardware'],
    body: records.map(({ kind, row, run, seed, figures, hardware }) => [
      kind,
      row,
      run,
      String(seed),
      ...FIGURES.map((figure) => formatSmallFigure(figures[figure])),
      hardware,
    ]),
  });
  return [
    ...(records.length === 0 ? [] : [table]),
    `${records.length} record${records.length === 1 ? '' : 's'}: ${count.join(', ')}.`,
  ].join('\n');
}
