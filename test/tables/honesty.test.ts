import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import type { RunRecord } from '../../src/records/record.js';
import { FIGURES } from '../../src/records/verdict.js';
import type { Cell } from '../../src/tables/cell.js';
import { formatReport } from '../../src/tables/report.js';
import { makeReport, type Report } from '../../src/tables/table.js';
import { near } from '../helpers/numeric.js';
import fc from '../helpers/properties.js';
import { makeRecord } from '../helpers/record.js';
import { htmlTables, markdownTables, parseCsv } from '../helpers/table-formats.js';

const tables = loadTables();
const published = tables.filter(({ tolerance }) => tolerance !== null);
const ROWS = published.flatMap(({ rows }) => rows.map(({ id }) => id));
/** Resolving a row takes longer than everything else here. */
const TEMPLATES = new Map<string, RunRecord>();

function template(row: string, profile: string, overrides: readonly string[]): RunRecord {
  const key = JSON.stringify([row, profile, overrides]);
  const known = TEMPLATES.get(key) ?? makeRecord({ row, profile, overrides });
  TEMPLATES.set(key, known);
  return known;
}

const figure = fc.option(fc.double({ min: 0.01, max: 100, noNaN: true }), { nil: null });
const record = fc
  .record({
    row: fc.constantFrom(...ROWS.slice(0, 4), ROWS.at(-1)!, 'camvid_r18-d8'),
    profile: fc.constantFrom('full', 'full', 'smoke'),
    overrides: fc.constantFrom([], [], ['width=32']),
    run: fc.integer({ min: 0, max: 1e6 }).map(String),
    seed: fc.integer({ min: 0, max: 3 }),
    synthetic: fc.boolean(),
    exitReason: fc.constantFrom('completed' as const, 'completed' as const, 'failed' as const),
    given: fc.boolean(),
    figures: fc.record({ memoryGB: figure, fps: figure, mIoU: figure, mIoUMsFlip: figure }),
  })
  .map(({ row, profile, overrides, run, seed, synthetic, exitReason, given, figures }): RunRecord => {
    const base = template(row, profile, overrides);
    const dataset = { ...base.dataset!, synthetic };
    const weights = { ...base.weights!, source: given ? ('given' as const) : ('trained' as const) };
    const error = exitReason === 'failed' ? 'Disk full.' : null;
    return { ...base, run, seed, figures, dataset, exitReason, weights, error };
  });
const records = fc.uniqueArray(record, { maxLength: 8, selector: ({ row, run }) => `${row} ${run}` });

test('no cell without a record is ever filled, and none shows another figure than its records hold', async (t) => {
  await fc.assert(
    fc.asyncProperty(records, fc.boolean(), async (all, seeds) => {
      const report = makeReport(tables, all, { seeds, fileOf: ({ row, run }) => `results/full/${row}.${run}.json` });
      const sections = markdownTables(await formatReport(report, 'markdown'));
      for (const [i, table] of report.tables.entries()) {
        for (const [y, { row, cells }] of table.rows.entries()) {
          for (const [x, name] of FIGURES.entries()) {
            const cell = cells[name];
            const sources = cell.records.map((reference) => {
              const source = all.find((one) => one.row === row && one.run === reference.run);
              t.truthy(source);
              return source!;
            });
            for (const source of sources) {
              t.is(source.exitReason, 'completed');
              t.is(source.profile, 'full');
              t.false(source.dataset!.synthetic);
              t.deepEqual(source.deviations, []);
              t.is(source.weights!.source === 'given' && x >= 2, cell.givenWeights);
            }
            const values = sources.map(({ figures }) => figures[name]!);
            const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
            t.is(cell.reproduced === null, values.length === 0);
            if (cell.reproduced !== null) near(t, cell.reproduced, mean);
            t.is(cell.published, published[i]!.rows[y]!.published[name]);

            // And the same of what a reader sees: a dash or a figure that links to its record.
            const { words, links } = sections[i]!.rows[y]![4 + x]!;
            const [here] = words.split(' / ').slice(1);
            t.is(words.endsWith('†'), cell.givenWeights);
            t.is(here === '–', cell.reproduced === null);
            t.deepEqual(
              links,
              cell.records.map(({ file }) => file),
            );
          }
        }
      }
    }),
    { numRuns: 100 },
  );
});

/** What a cell must say, in any format. */
interface Said {
  readonly empty: boolean;
  readonly given: boolean;
  readonly records: readonly string[];
}

const said = ({ reproduced, givenWeights, records }: Cell): Said => ({
  empty: reproduced === null,
  given: givenWeights,
  records: records.map(({ file }) => file!),
});

/** What the words of a cell with both figures say. */
const saidBy = (words: string, links: readonly string[]): Said => ({
  empty: words.endsWith('/ –'),
  given: words.includes('†'),
  records: links,
});

test('no cell without a record is filled in any format, and given weights are marked in each', async (t) => {
  const fileOf = ({ row, run }: RunRecord) => `results/full/${row}.${run}.json`;
  await fc.assert(
    fc.asyncProperty(records, fc.boolean(), async (all, seeds) => {
      const report = makeReport(tables, all, { seeds, fileOf });
      const rows = report.tables.flatMap((table) => table.rows);
      const expected = rows.map(({ cells }) => FIGURES.map((figure) => said(cells[figure])));

      const json = JSON.parse(await formatReport(report, 'json')) as Report;
      const inJson = json.tables.flatMap((table) => table.rows);
      t.deepEqual(
        inJson.map(({ cells }) => FIGURES.map((figure) => said(cells[figure]))),
        expected,
      );

      const [heads, ...lines] = parseCsv(await formatReport(report, 'csv'));
      const column = (line: readonly string[], name: string) => line[heads!.indexOf(name)]!;
      const names = new Set(report.tables.map(({ table }) => table));
      const inCsv = lines.filter((line) => names.has(column(line, 'section')));
      t.deepEqual(
        inCsv.map((line) => ({
          empty: column(line, 'reproduced') === '' && column(line, 'verdict') === 'not run',
          given: column(line, 'note').includes('given weights'),
          records: column(line, 'records').split(' ').filter(Boolean),
        })),
        expected.flat(),
      );

      const pages = htmlTables(await formatReport(report, 'html')).slice(0, report.tables.length);
      t.deepEqual(
        pages.flat().map((cells) => cells.slice(4, 8).map(({ words, links }) => saidBy(words, links))),
        expected,
      );

      const wide = (await formatReport(report, 'terminal', { wide: true })).split('\n');
      const listed = new Map(
        wide.flatMap((line) => [...line.matchAll(/^(\[\d+\]) (\S+)$/g)].map(([, n, name]) => [n, name])),
      );
      const numbersIn = (words: string) =>
        (words.match(/\[\d+\]/g) ?? []).map((number) => `results/full/${listed.get(number)}.json`);
      const inWide = wide.filter((line) => /^│ FCN/.test(line)).map((line) => line.split('│').slice(5, 9));
      t.deepEqual(
        inWide.map((cells) => cells.map((words) => saidBy(words.trim(), numbersIn(words)))),
        expected,
      );

      const compact = (await formatReport(report, 'terminal')).split('\n');
      const here = compact.filter((line) => /^ +here\b/.test(line)).map((line) => line.match(/(–|\d+\.\d\d)\S*/g)!);
      t.deepEqual(
        here.map((figures) => figures.map((figure) => ({ empty: figure === '–', given: figure.includes('†') }))),
        expected
          .filter((cells) => cells.some(({ empty }) => !empty))
          .map((cells) => cells.map(({ empty, given }) => ({ empty, given }))),
      );
    }),
    { numRuns: 40 },
  );
});

test('16 figures of memory, 11 of fps and one of ms+flip were never published, and are said to be', (t) => {
  const { tables: empty } = makeReport(tables, []);
  const count = (name: (typeof FIGURES)[number]) =>
    empty.flatMap(({ rows }) => rows).filter(({ cells }) => cells[name].published === null).length;
  t.deepEqual(FIGURES.map(count), [16, 11, 0, 1]);
});
