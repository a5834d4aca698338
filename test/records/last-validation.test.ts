import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { compare } from '../../src/pages/compare/compare.js';
import { describeComparison, formatComparison } from '../../src/pages/compare/format.js';
import { inputOfRow, inputOfRun } from '../../src/pages/compare/input.js';
import { writeRunReport } from '../../src/pages/runs/write.js';
import { selectRow } from '../../src/recipe/select.js';
import { loadTables } from '../../src/recipe/tables.js';
import { shownFigures } from '../../src/records/last-validation.js';
import { formatLeaderboard } from '../../src/tables/leaderboard/format.js';
import { makeLeaderboard } from '../../src/tables/leaderboard/leaderboard.js';
import { formatBoard } from '../../src/tables/leaderboard/report.js';
import { formatReport } from '../../src/tables/report.js';
import { makeReport } from '../../src/tables/table.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';
import { catalogueOf, logLines, writeRun } from '../helpers/runs.js';

const ROW = 'camvid_r18-d8';
const PUBLISHED = 'fcn_r18-d8_512x1024_80k_cityscapes';

/** The details of a training that was evaluated at its end. */
function trained(iterations: number, mIoU: number, best = { iteration: iterations, mIoU }) {
  const nothing = { skippedSteps: 0, skippedSamples: [], peakLiveTensorBytes: 1, peakProcessBytes: 1 };
  const validations = { bestValidation: best, lastValidation: { iteration: iterations, mIoU } };
  const train = { iterations, seconds: 1, finalLoss: 1, ...nothing, ...validations };
  return { train, evaluate: null, 'evaluate-ms': null, benchmark: null };
}

const OVERRIDES = ['iterations=80'];
const validation = (iteration: number, mIoU: number) =>
  JSON.stringify({ mode: 'val', iteration, mIoU, mAcc: 0.4, aAcc: 0.8 });

test('the last validation is the mIoU that is shown, unless a stage measured one', (t) => {
  const details = trained(80, 0.25, { iteration: 40, mIoU: 0.3 });
  const record = makeRecord({ row: ROW, overrides: OVERRIDES }, { details });
  t.deepEqual(shownFigures(record), {
    figures: { ...record.figures, mIoU: 25 },
    validation: { iteration: 80, mIoU: 25 },
  });
  t.deepEqual(shownFigures(record, [{ iteration: 60, mIoU: 0.5 }]).validation, { iteration: 60, mIoU: 50 });
  // While the run trains there is no record; figures that are no numbers are none.
  t.is(shownFigures(null, [{ iteration: 20, mIoU: 0.125 }]).figures.mIoU, 12.5);
  t.is(shownFigures(null, [{ iteration: 20, mIoU: Number.NaN }]).validation, null);
  t.is(shownFigures(null).figures.mIoU, null);
  const evaluated = { ...record, figures: { ...record.figures, mIoU: 26 } };
  t.deepEqual(shownFigures(evaluated), { figures: evaluated.figures, validation: null });
  // Older records have only the best: it counts if it was the last.
  const older = (iteration: number) => {
    const { lastValidation: _, ...train } = trained(80, 0.25, { iteration, mIoU: 0.3 }).train;
    return { ...record, details: { ...details, train } };
  };
  t.is(shownFigures(older(80)).figures.mIoU, 30);
  t.is(shownFigures(older(40)).figures.mIoU, null);
});

test('it is in the leaderboard, in comparisons and on pages, marked as what it is', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  for (const [run, mIoU] of [
    ['aaa', 0.15],
    ['bbb', 0.2],
  ] as const) {
    const log = [...logLines(80), validation(80, mIoU)];
    await writeRun(folders.runs, { row: ROW, overrides: OVERRIDES }, { run, details: trained(80, mIoU) }, log);
  }
  const known = await catalogueOf(folders).all();
  const board = makeLeaderboard(known, known);
  const note =
    '◊ Of the last checkpoint evaluated during training (--evaluate-every), after iteration 80: single scale.';
  t.deepEqual(
    board.runs.map(({ run, figures }) => [run, figures.mIoU]),
    [
      ['bbb', 20],
      ['aaa', 15],
    ],
  );
  const flat = (text: string) => text.replaceAll(/\s+/g, ' ');
  t.regex(formatLeaderboard(board, 80), /^bbb +completed +0 +20\.00◊$/m);
  t.true(flat(formatLeaderboard(board, 80)).includes(note));
  t.regex(await formatBoard(board, 'csv'), /,mIoU from validation after\n[^\n]*,20,.*,80\n/);
  t.like(JSON.parse(await formatBoard(board, 'json')), { runs: [{ validation: { iteration: 80, mIoU: 20 } }] });

  const comparison = compare(inputOfRun(known[0]!, known), inputOfRun(known[1]!, known));
  t.regex(formatComparison(comparison), /mIoU +│ 15\.00◊ +│ 20\.00◊ +│ −5\.00/);
  t.true(flat(formatComparison(comparison)).includes(note));
  t.like(describeComparison(comparison), { a: { validation: { iteration: 80, mIoU: 15 } } });

  const options = { ...folders, out: path.join(folder, 'out'), format: 'html' as const, charts: [], theme: null };
  const warn = (text: string) => t.fail(text);
  const { files } = await writeRunReport({
    ...options,
    references: ['bbb'],
    dataRoot: folder,
    isDataRootGiven: true,
    warn,
  });
  const page = readFileSync(files[0]!.file, 'utf8');
  t.regex(page, /mIoU<\/th><td class="number">20\.00 ◊<\/td>/);
  t.true(page.includes(`<p class="note">${note}</p>`));
  // The log of the helper has a line an iteration; the last loss is the record's.
  t.regex(page, /<dt>Last loss<\/dt><dd>1\.0000<\/dd>/);
  t.regex(page, /<dt>Mean loss<\/dt><dd>0\.2360 over the last 1 iteration logged<\/dd>/);
});

test('a published table does not take it; tables of other runs do', async (t) => {
  const full = makeRecord({ row: PUBLISHED }, { details: trained(80_000, 0.7) });
  const { tables, otherRuns } = makeReport(loadTables(), [full]);
  const row = tables.flatMap(({ rows }) => rows).find(({ row }) => row === PUBLISHED)!;
  t.like(row.cells.mIoU, { reproduced: null, verdict: 'not run' });
  t.deepEqual(otherRuns, []);
  const run = { row: full.row, id: full.run, state: 'completed' as const, experiment: full.experiment };
  const { environment, startedAt } = full;
  const nothing = { number: 0, directory: null, trains: true, log: [], validation: [], file: 'a.json' };
  const known = { ...run, environment, startedAt, deviations: full.deviations, record: full, ...nothing };
  const [mIoU] = compare(inputOfRun(known, []), inputOfRow(selectRow(PUBLISHED))).figures.filter(
    ({ figure }) => figure === 'mIoU',
  );
  t.like(mIoU, { a: 70, verdict: null });

  const local = makeReport(loadTables(), [
    makeRecord({ row: ROW, overrides: OVERRIDES }, { details: trained(80, 0.15) }),
  ]);
  t.regex(await formatReport(local, 'terminal'), /\n *0 .*15\.00◊|camvid_r18-d8 .*15\.00◊/);
  t.regex(await formatReport(local, 'markdown'), /\| 15\.00 ◊ \|[\s\S]*◊ Of the last checkpoint/);
  t.regex(await formatReport(local, 'csv'), /mIoU,,15,[^\n]*validation after iteration 80/);
});
