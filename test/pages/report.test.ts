import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { type RunReportOptions, writeRunReport } from '../../src/pages/runs/write.js';
import { resolve } from '../../src/recipe/resolve.js';
import { loadTables } from '../../src/recipe/tables.js';
import { type RunRecord, writeRecord } from '../../src/records/record.js';
import { RunCatalogue } from '../../src/runs/catalogue.js';
import { UserError } from '../../src/support/errors.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { unbalanced } from '../helpers/markup.js';
import { makeRecord } from '../helpers/record.js';
import { evaluationOf, logLine, logLines, NO_PROCESS, writeRun, writeRunning } from '../helpers/runs.js';

const ROW = 'camvid_r18-d8';
const NAMES = ['road', 'sky', '</script><b>'];
const CONFUSION = [
  [60, 0, 20],
  [10, 90, 0],
  [5, 5, 10],
];
const EVALUATED = {
  figures: { memoryGB: null, fps: null, mIoU: 55.5, mIoUMsFlip: null },
  details: { train: null, evaluate: evaluationOf(NAMES, CONFUSION), 'evaluate-ms': null, benchmark: null },
};

function optionsFor(folder: string, changes: Partial<RunReportOptions> = {}): RunReportOptions {
  return {
    references: [],
    results: path.join(folder, 'results'),
    runs: path.join(folder, 'runs'),
    out: path.join(folder, 'out'),
    format: 'html',
    charts: [],
    theme: null,
    dataRoot: folder,
    isDataRootGiven: true,
    examples: 2,
    warn: (text) => {
      throw new Error(text);
    },
    ...changes,
  };
}

test('the page of a run is one file that needs no other, with all texts escaped', async (t) => {
  const folder = await temporaryFolder(t);
  await writeRun(
    path.join(folder, 'runs'),
    { row: ROW, overrides: ['width=16'] },
    { ...EVALUATED, run: 'one', weights: { file: 'a&b<c', sha256: 'ab'.repeat(32), source: 'trained' } },
    logLines(30),
  );
  const { files, runs } = await writeRunReport(optionsFor(folder));
  t.deepEqual(runs, [
    { row: ROW, run: 'one', charts: ['loss', 'lr', 'accuracy', 'miou', 'iou', 'confusion', 'throughput', 'memory'] },
  ]);
  const page = readFileSync(files[0]!.file, 'utf8');
  t.is(Buffer.byteLength(page), files[0]!.bytes);
  t.deepEqual(unbalanced(page), []);
  t.notRegex(page, /https?:|@import|url\(|<script/);
  t.true(page.includes('&lt;/script&gt;&lt;b&gt;') && page.includes('a&amp;b&lt;c'));
  t.is(page.match(/<svg /g)!.length, 8);
  t.is(page.match(/role="img"/g)!.length, 8);
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  t.is(new Set(ids).size, ids.length);
  // Deviations and what makes it not comparable are there.
  t.regex(page, /<th scope="row">model\.<wbr>width<\/th><td class="text">64<\/td><td class="text">16<\/td>/);
  t.regex(page, /Conditions<\/dt><dd>width=16</);
  // Nothing is published of this row, and the page does not speak of publications; its conditions stand once.
  t.regex(page, /<h3>Changes to the row&#39;s recipe<\/h3>|<h3>Changes to the row's recipe<\/h3>/);
  t.notRegex(page.replaceAll(/<style>[\s\S]*?<\/style>|model\.<wbr>pretrained|published\./g, ''), /published/i);
  t.is(page.match(/Conditions/g)!.length, 1);
  t.regex(page, /prefers-color-scheme: dark/);
});

test('an overview names runs as short as it may, and leaves out figures that no run has', async (t) => {
  const folder = await temporaryFolder(t);
  for (const run of ['20250102-030405-aaaa0000', '20250102-030406-bbbb0000', '20250102-030406-cccc0000']) {
    await writeRun(path.join(folder, 'runs'), { row: ROW }, { ...EVALUATED, run }, logLines(3));
  }
  const { files } = await writeRunReport(optionsFor(folder));
  const [overview] = readFileSync(files[0]!.file, 'utf8').split('<h2>Losses</h2>');
  const heads = [...overview!.matchAll(/<th scope="col"[^>]*>([^<]*)</g)].map(([, head]) => head);
  t.deepEqual(heads, ['Run', 'mIoU', 'Profile', 'Seed', 'State', 'Conditions']);
  const names = [...overview!.matchAll(/<a href="#run-\d">([^/]*)<\/a>/g)].map(([, name]) =>
    name!.replaceAll('<wbr>', ''),
  );
  t.deepEqual(
    names.map((name) => name.split(' ')[1]),
    ['20250102-030405', '20250102-030406-bbbb0000', '20250102-030406-cccc0000'],
  );
});

test('only links to published files lead out of the page', async (t) => {
  const folder = await temporaryFolder(t);
  const row = 'fcn_r50-d8_512x1024_40k_cityscapes';
  await writeRun(path.join(folder, 'runs'), { row }, EVALUATED, logLines(3));
  const { files } = await writeRunReport(optionsFor(folder));
  const page = readFileSync(files[0]!.file, 'utf8');
  const { weights, log } = resolve({ row });
  const links = [...page.matchAll(/(?:href|src)="(?!#|data:)([^"]*)"/g)].map(([, link]) => link!);
  t.deepEqual(links, [weights!, log!]);
  t.is(page.match(/https?:/g)!.length, 2);
  // The published mean stands among the classes' bars.
  t.regex(page, /published mean 72\.25/);
});

test('figures stand beside the published ones as in the table, or alone with the reason', async (t) => {
  const row = 'fcn_r50-d8_512x1024_40k_cityscapes';
  const figures = { memoryGB: 0.0018, fps: 3, mIoU: 72.5, mIoUMsFlip: null };
  const details = { ...EVALUATED.details };
  const pageOf = async (options: Parameters<typeof writeRun>[1], changes: Partial<RunRecord> = {}) => {
    const folder = await temporaryFolder(t);
    await writeRun(path.join(folder, 'runs'), options, { figures, details, ...changes }, logLines(20));
    const { files } = await writeRunReport(optionsFor(folder));
    return readFileSync(files[0]!.file, 'utf8');
  };
  const comparable = await pageOf({ row });
  t.regex(
    comparable,
    /mIoU<\/th><td class="number">72\.25<\/td><td class="number">72\.50<\/td><td class="number">\+0\.25<\/td>/,
  );
  t.regex(comparable, /<td class="text">reproduced<\/td>/);
  t.regex(
    comparable,
    /<td class="number">×0\.72<\/td><td class="text">none: other hardware<\/td><td class="text">Processor 9000/,
  );
  t.regex(comparable, /<td class="number">0\.0018<\/td>/);
  t.regex(comparable, /Reproduced within mIoU: ±1 /);
  t.regex(comparable, /published mean 72\.25/);
  for (const apart of [
    await pageOf({ row, profile: 'smoke' }),
    await pageOf({ row, overrides: ['width=16'] }),
    await pageOf({ row }, { exitReason: 'failed', error: 'x' }),
  ]) {
    t.regex(apart, /mIoU<\/th><td class="number">72\.50<\/td><td class="text"><\/td>/);
    t.regex(apart, /Compares with nothing published: (smoke profile|width=16|the run was failed)\./);
    t.notRegex(apart, /published mean|published figure|72\.25/);
  }
  const weights = { file: 'x.pth', sha256: 'ab'.repeat(32), source: 'given' as const };
  const given = await pageOf({ row }, { weights });
  t.regex(given, /<td class="number">72\.50 †<\/td>/);
  t.regex(given, /† Evaluated with weights that were given, not trained here\./);
});

test('a published log is drawn over the same part of the schedule, and refused where it is of another row', async (t) => {
  const folder = await temporaryFolder(t);
  const row = 'fcn_r50-d8_512x1024_40k_cityscapes';
  await writeRun(path.join(folder, 'runs'), { row, overrides: ['iterations=400'] }, EVALUATED, logLines(400));
  const line = (iter: number) => JSON.stringify({ mode: 'train', iter, lr: 0.01, loss: 1.5 });
  const log = path.join(folder, `${row}_20200604_192608.log.json`);
  writeFileSync(log, [line(20_000), line(40_000)].join('\n'));
  const options = optionsFor(folder, { format: 'svg', charts: ['loss'], log });
  const svg = readFileSync((await writeRunReport(options)).files[0]!.file, 'utf8');
  t.regex(svg, /over part of the schedule, %\./);
  t.regex(svg, /total, published: 1\.5 at part of the schedule, % 50, 1\.5 at part of the schedule, % 100/);
  t.regex(svg, /total: [\d.]+ at part of the schedule, % 0\.25, [\d.]+ at part of the schedule, % 100/);
  const other = path.join(folder, 'fcn_r101-d8_512x1024_40k_cityscapes_20200604_181852.log.json');
  writeFileSync(other, line(50));
  await t.throwsAsync(writeRunReport({ ...options, log: other }), {
    name: 'UserError',
    message:
      /is the log of fcn_r101-d8_512x1024_40k_cityscapes, but the runs are of fcn_r50-d8_512x1024_40k_cityscapes/,
  });
  const renamed = path.join(folder, 'log.json');
  writeFileSync(renamed, line(50));
  const warnings: string[] = [];
  await writeRunReport({ ...options, log: renamed, warn: (text) => warnings.push(text) });
  t.regex(warnings.join(), /says which row it belongs to/);
  // Of a log that has lost lines, no curve is drawn.
  writeFileSync(log, [line(20_000), '{"unknown": 1}', line(40_000)].join('\n'));
  const told: string[] = [];
  const without = await writeRunReport({ ...options, warn: (text) => told.push(text) });
  t.notRegex(readFileSync(without.files[0]!.file, 'utf8'), /published/);
  t.regex(told.join(), /No curve of the log is drawn: 1 of 3 lines could not be placed/);
});

test('what would change nothing is refused, and what is left out is said', async (t) => {
  const folder = await temporaryFolder(t);
  for (let i = 0; i < 7; i++)
    await writeRun(path.join(folder, 'runs'), { row: ROW, seed: i }, { run: `run${i}` }, logLines(5));
  await t.throwsAsync(writeRunReport(optionsFor(folder, { theme: 'dark' })), {
    message: /--theme dark changes nothing/,
  });
  await t.throwsAsync(writeRunReport(optionsFor(folder, { format: 'svg', predictions: folder })), {
    message: /--predictions changes nothing with --format svg/,
  });
  const { files } = await writeRunReport(optionsFor(folder));
  t.regex(readFileSync(files[0]!.file, 'utf8'), /The losses of 7 runs are not drawn in one chart: more than 6 curves/);
  const examples = await fcn(['report', '--out', 'x', '--examples', '5'], { cwd: folder });
  t.is(examples.code, 2);
  t.regex(examples.stderr, /--predictions/);
});

test('41 runs of 1,000 lines make a page of less than 10 MB with few elements', async (t) => {
  const folder = await temporaryFolder(t);
  const rows = loadTables()
    .flatMap(({ rows }) => rows)
    .filter(({ table }) => table.name !== 'Local');
  t.is(rows.length, 41);
  const log = logLines(1000);
  for (const { id, recipe } of rows) {
    const names = Array.from({ length: recipe.model.classes }, (_, k) => `class ${k}`);
    const confusion = names.map((_, a) => names.map((_, b) => ((a * 31 + b * 17) % 97) + (a === b ? 5000 : 1)));
    const details = { ...EVALUATED.details, evaluate: evaluationOf(names, confusion) };
    await writeRun(path.join(folder, 'runs'), { row: id }, { ...EVALUATED, details }, log);
  }
  const { files, runs } = await writeRunReport(optionsFor(folder));
  t.is(runs.length, 41);
  t.true(files[0]!.bytes < 10e6, `${files[0]!.bytes} bytes`);
  const page = readFileSync(files[0]!.file, 'utf8');
  t.is(page.match(/<svg /g)!.length, 41 * 8);
  t.true(page.match(/<[a-z]/g)!.length < 80_000);
  t.regex(page, />Run<\/th><th[^>]*>Mem \(GB\)</, 'figures are in the first columns, which a phone shows');
  t.true(page.includes('>fcn_<wbr>r50-d8_<wbr>512x1024_<wbr>40k_<wbr>cityscapes '), 'names break at underscores');
  t.is(page.match(/<details class="run"[^>]* open>/g), null);
});

test('the highest loss of a long log is still in the picture', async (t) => {
  const folder = await temporaryFolder(t);
  const log = logLines(5000);
  log[2345] = logLine(2346, { loss: 40 });
  await writeRun(path.join(folder, 'runs'), { row: ROW }, {}, log);
  const { files } = await writeRunReport(optionsFor(folder, { format: 'svg', charts: ['loss'] }));
  const svg = readFileSync(files[0]!.file, 'utf8');
  t.regex(svg, /highest 40\b/);
  t.true(svg.length < 25_000);
  t.deepEqual(
    files.map(({ file }) => path.basename(file)),
    [`${ROW}.20250102-030405-01234567.loss.svg`],
  );
});

test('a PNG has two pixels a unit and the paper of its theme', async (t) => {
  const folder = await temporaryFolder(t);
  await writeRun(path.join(folder, 'runs'), { row: ROW }, EVALUATED, logLines(20));
  for (const [theme, paper] of [
    ['light', 255],
    ['dark', 0x1d],
  ] as const) {
    const { files } = await writeRunReport(optionsFor(folder, { format: 'png', charts: ['lr', 'confusion'], theme }));
    t.is(files.length, 2);
    const { data, info } = await sharp(files[0]!.file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    t.is(info.width, 2 * (360 + 32));
    t.is(data[0], paper);
    // Something is drawn.
    t.true(new Set(data).size > 20);
  }
});

test('a run that has no record yet is shown as far as it is', async (t) => {
  const folder = await temporaryFolder(t);
  const { directory } = await writeRun(path.join(folder, 'runs'), { row: ROW }, {}, logLines(7));
  rmSync(path.join(directory, 'record.json'));
  await writeRunning(directory);
  // A line that is being written.
  writeFileSync(path.join(directory, 'log.jsonl'), `${logLines(7).join('\n')}\n{"iteration":8,"lo`);
  const { files } = await writeRunReport(optionsFor(folder, { references: [directory] }));
  const page = readFileSync(files[0]!.file, 'utf8');
  t.regex(page, /<dd>running<\/dd>/);
  t.regex(page, /<dd>7 of 4000 iterations<\/dd>/);
  await writeRunning(directory, NO_PROCESS);
  await writeRunReport(optionsFor(folder));
  t.regex(readFileSync(files[0]!.file, 'utf8'), /<dd>killed<\/dd>/);
});

test('runs are found by directory, record, id, row and pattern; what is not there is said', async (t) => {
  const folder = await temporaryFolder(t);
  const runs = path.join(folder, 'runs');
  const one = await writeRun(runs, { row: ROW }, { run: '20250101-000000-aaaaaaaa' }, []);
  await writeRun(runs, { row: 'fcn_r18-d8_769x769_80k_cityscapes' }, { run: '20250102-000000-bbbbbbbb' }, []);
  const folders = { runs, results: path.join(folder, 'results') };
  const catalogue = (where = folders) => new RunCatalogue(where, (error) => t.fail(error.message));
  const ids = async (...references: string[]) => (await catalogue().find(references)).map(({ id }) => id.slice(-1));
  t.deepEqual(await ids(), ['a', 'b']);
  t.deepEqual(await ids(one.directory), ['a']);
  t.deepEqual(await ids(path.join(one.directory, 'record.json')), ['a']);
  t.deepEqual(await ids('20250102', ROW, ROW), ['b', 'a']);
  t.deepEqual(await ids('fcn_*'), ['b']);
  await t.throwsAsync(ids('camvid_r18-d9'), { name: 'UserError', message: /No run is called camvid_r18-d9/ });
  t.deepEqual(await ids(path.join(one.directory, 'log.jsonl')), ['a']);
  const none = catalogue({ runs: path.join(folder, 'none'), results: path.join(folder, 'nothing') });
  await t.throwsAsync(none.find([]), {
    name: 'UserError',
    message: /no runs under .*none and no records under .*nothing\.$/,
  });
  const unknown = await t.throwsAsync<UserError>(ids('fcn_r50-d8_512x1024_40k_cityscapes'), { instanceOf: UserError });
  t.regex(unknown!.message, /There is no run of fcn_r50-d8_512x1024_40k_cityscapes/);
  t.is(unknown!.next, 'Make one: fcn reproduce fcn_r50-d8_512x1024_40k_cityscapes.');
});

test('kept records are runs; one that lies in a run directory, too, has its log', async (t) => {
  const folder = await temporaryFolder(t);
  const [runs, results] = [path.join(folder, 'runs'), path.join(folder, 'results')];
  const kept = makeRecord({ row: ROW }, { ...EVALUATED, run: 'kept' });
  const smoke = makeRecord({ row: ROW, profile: 'smoke' }, { ...EVALUATED, run: 'smoke' });
  await writeRecord(path.join(results, 'local', `${ROW}.kept.json`), kept);
  await writeRecord(path.join(results, 'smoke', `${ROW}.smoke.json`), smoke);
  const both = await writeRun(runs, { row: ROW }, { ...EVALUATED, run: 'both' }, logLines(5));
  await writeRecord(path.join(results, 'local', `${ROW}.both.json`), both.record);
  const found = await new RunCatalogue({ runs, results }, (error) => t.fail(error.message)).all();
  t.deepEqual(
    found.map(({ id, log, directory }) => [id, log.length, directory !== null]),
    [
      ['both', 5, true],
      ['kept', 0, false],
      ['smoke', 0, false],
    ],
  );
  const cwd = await temporaryFolder(t);
  await writeRecord(path.join(cwd, 'results', 'smoke', `${ROW}.smoke.json`), smoke);
  const { code, stderr } = await fcn(['report', '--out', 'report'], { cwd });
  t.is(code, 0, stderr);
  t.true(readFileSync(path.join(cwd, 'report', 'index.html'), 'utf8').includes(`${ROW} smoke`));
});

test('a broken run directory or record is named and left out; one that is asked for by its path is an error', async (t) => {
  const folder = await temporaryFolder(t);
  const [runs, results] = [path.join(folder, 'runs'), path.join(folder, 'results')];
  await writeRun(runs, { row: ROW }, { ...EVALUATED, run: 'whole' }, logLines(5));
  const broken = await writeRun(runs, { row: ROW }, { ...EVALUATED, run: 'broken' }, logLines(5));
  writeFileSync(path.join(broken.directory, 'record.json'), '{}');
  const damaged = await writeRun(runs, { row: ROW }, { ...EVALUATED, run: 'damaged' }, ['nonsense', ...logLines(5)]);
  const begun = await writeRun(runs, { row: ROW }, { run: 'begun' }, logLines(5));
  rmSync(path.join(begun.directory, 'record.json'));
  writeFileSync(path.join(begun.directory, 'experiment.json'), 'null');
  await mkdir(path.join(results, 'full'), { recursive: true });
  writeFileSync(path.join(results, 'full', 'x.json'), '[');
  const warnings: string[] = [];
  const { runs: shown } = await writeRunReport(optionsFor(folder, { warn: (text) => warnings.push(text) }));
  t.deepEqual(
    shown.map(({ run }) => run),
    ['whole'],
  );
  const named = [
    'broken/record.json',
    'full/x.json',
    'damaged/log.jsonl:1',
    'begun/experiment.json: expected a section',
  ];
  t.is(warnings.length, named.length);
  for (const name of named) t.is(warnings.filter((text) => text.includes(name)).length, 1, name);
  for (const { directory } of [broken, damaged, begun]) {
    await t.throwsAsync(writeRunReport(optionsFor(folder, { references: [directory], warn: () => undefined })), {
      name: 'UserError',
    });
  }
});

test('fcn report writes a page; --json says which runs and files', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeRun(path.join(cwd, 'runs'), { row: ROW }, EVALUATED, logLines(20));
  const plain = await fcn(['report', '--out', 'page'], { cwd });
  t.is(plain.code, 0, plain.stderr);
  t.regex(plain.stdout, /^page\/index\.html {2}\d+ kB\n$/);
  t.deepEqual(readdirSync(path.join(cwd, 'page')), ['index.html']);
  const json = await fcn(['report', ROW, '--out', 'charts', '--format', 'svg', '--chart', 'loss', '--json'], { cwd });
  const written = JSON.parse(json.stdout) as { runs: { charts: string[] }[]; files: { file: string }[] };
  t.deepEqual(written.runs[0]!.charts, ['loss']);
  t.is(written.files.length, 1);
  const none = await fcn(['report', 'nothing', '--out', 'page'], { cwd });
  t.is(none.code, 2);
  t.regex(none.stderr, /No run is called nothing/);
});
