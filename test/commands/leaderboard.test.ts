import { rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ResolveOptions } from '../../src/recipe/resolve.js';
import { type RunRecord, writeRecord } from '../../src/records/record.js';
import { fcn } from '../helpers/command.js';
import { makeEvaluation } from '../helpers/complete-record.js';
import { NARROW_AND_WIDE } from '../helpers/experiments.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';
import { logLine, writeRun, writeRunning } from '../helpers/runs.js';
import { htmlTables, markdownTables, parseCsv } from '../helpers/table-formats.js';

const ROW = 'camvid_r18-d8';

const figures = (mIoU: number | null, fps: number | null = null) => ({ memoryGB: null, fps, mIoU, mIoUMsFlip: null });

/** Runs of one row: three completed, one that failed, one that runs; and one whose record is broken. */
async function writeRuns(t: ExecutionContext): Promise<string> {
  const cwd = await temporaryFolder(t);
  const runs = path.join(cwd, 'runs');
  const write = (name: string, options: Omit<ResolveOptions, 'row'>, changes: Partial<RunRecord>) =>
    writeRun(runs, { row: ROW, ...options }, { run: `20250102-030405-${name}`, ...changes }, [logLine(1)]);
  await write('aaaa0000', { overrides: ['width=16'], seed: 1 }, { figures: figures(55.1, 8) });
  await write('bbbb0000', { overrides: ['width=32'] }, { figures: figures(61.2, 4) });
  const given = { file: 'x.pth', sha256: 'ab'.repeat(32), source: 'given' as const };
  const slow = ['width=32', 'learningRate=0.005'];
  await write('cccc0000', { overrides: slow }, { figures: figures(48.3), weights: given });
  await write('dddd0000', {}, { exitReason: 'failed', error: 'Out of memory.' });
  const running = await write('eeee0000', {}, {});
  rmSync(path.join(running.directory, 'record.json'));
  await writeRunning(running.directory);
  const broken = await write('ffff0000', {}, {});
  await writeFile(path.join(broken.directory, 'record.json'), '{');
  return cwd;
}

const lines = (text: string) => text.trimEnd().split('\n');

test('a line a run: what differs, figures best first, also runs without a record', async (t) => {
  const cwd = await writeRuns(t);
  const { code, stdout, stderr } = await fcn(['runs', 'table'], { cwd });
  t.is(code, 0, stderr);
  t.deepEqual(lines(stdout).slice(0, 2), ['camvid_r18-d8, full profile', '']);
  const cells = lines(stdout)
    .slice(2, 8)
    .map((line) => line.split(/ +/));
  t.deepEqual(cells, [
    ['Run', 'State', 'width', 'learningRate', 'Seed', 'fps', 'mIoU'],
    ['20250102-030405-b', 'completed', '32', '0.01', '0', '4.00', '61.20'],
    ['20250102-030405-a', 'completed', '16', '0.01', '1', '8.00', '55.10'],
    ['20250102-030405-c', 'completed', '32', '0.005', '0', '–', '48.30†'],
    ['20250102-030405-d', 'failed', '64', '0.01', '0', '–', '–'],
    ['20250102-030405-e', 'running', '64', '0.01', '0', '–', '–'],
  ]);
  t.deepEqual(lines(stdout).slice(9), [
    '5 runs: 3 completed, 1 failed, 1 running.',
    '† Evaluated with weights that were given, not trained here.',
  ]);
  t.notRegex(stdout, /publish/i);
  t.regex(stderr, /^Left out: .*ffff0000.record\.json is not JSON/);
  for (const line of lines(stdout)) t.true(line.length <= 80, line);
});

const runsOf = (stdout: string) =>
  (JSON.parse(stdout) as { runs: { run: string; values: Record<string, unknown> }[] }).runs.map(({ run }) => run[16]);

test('flags sort, filter and choose columns; a key that there is not is an error', async (t) => {
  const cwd = await writeRuns(t);
  const flags = ['--sort', 'learningRate', '--reverse', '--where', 'width=32', '--columns', 'batch,started'];
  const { code, stdout, stderr } = await fcn(['runs', 'table', 'camvid*', '--json', ...flags], { cwd });
  t.is(code, 0, stderr);
  t.is(runsOf(stdout).join(''), 'bc');
  t.like(JSON.parse(stdout), {
    columns: ['training.batch', 'started'],
    runs: [{ row: ROW, seed: 0, values: { 'training.batch': 4, started: '2025-01-02T03:04:05.000Z' } }],
  });
  const none = await fcn(['runs', 'table', '--state', 'interrupted'], { cwd });
  t.deepEqual([none.code, none.stdout], [0, '']);
  t.regex(none.stderr, /No run matches\.\n$/);
  const unknown = await fcn(['runs', 'table', '--where', 'widht=32'], { cwd });
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /--where widht: the recipe has no such value\.\nnext: Did you mean width\?/);
});

test("kept records of others are not ranked among one's own runs unless asked for", async (t) => {
  const cwd = await temporaryFolder(t);
  const record = makeRecord({ row: ROW, profile: 'smoke' }, { run: 'kept0000', figures: figures(70) });
  await mkdir(path.join(cwd, 'results/smoke'), { recursive: true });
  await writeRecord(path.join(cwd, 'results/smoke/kept.json'), record);
  const table = async (...flags: string[]) => {
    const { code, stdout, stderr } = await fcn(['runs', 'table', '--json', ...flags], { cwd });
    t.is(code, 0, stderr);
    return [(JSON.parse(stdout) as { runs: { run: string }[] }).runs.map(({ run }) => run), stderr];
  };
  t.deepEqual(await table(), [['kept0000'], '']);
  await writeRun(path.join(cwd, 'runs'), { row: ROW }, { run: 'mine0000', figures: figures(50) }, []);
  t.deepEqual(await table(), [
    ['mine0000'],
    'Not shown: 1 kept record that no run directory here belongs to; --kept adds them.\n',
  ]);
  t.deepEqual(await table('--kept'), [['kept0000', 'mine0000'], '']);
  t.deepEqual(await table(ROW), [['kept0000', 'mine0000'], '']);
});

test('CSV, Markdown, HTML and JSON have the same runs and all columns; no document is replaced', async (t) => {
  const cwd = await writeRuns(t);
  const files = ['runs.csv', 'runs.md', 'runs.html', 'runs.json'];
  const write = files.flatMap((file) => ['--write', file]);
  const { code, stderr } = await fcn(['runs', 'table', ...write], { cwd });
  t.is(code, 0, stderr);
  const [csv, markdown, html, json] = await Promise.all(files.map((file) => readFile(path.join(cwd, file), 'utf8')));
  const [head, ...rows] = parseCsv(csv!.trimEnd());
  const column = (name: string) => rows.map((cells) => cells[head!.indexOf(name)]);
  t.deepEqual(column('mIoU'), ['61.2', '55.1', '48.3', '', '']);
  t.deepEqual(column('model.width'), ['32', '16', '32', '64', '64']);
  t.deepEqual(column('weights'), ['', '', 'given', '', '']);
  const [table] = markdownTables(markdown!);
  t.is(table!.rows.length, 5);
  t.deepEqual(table!.head.slice(3, 6), ['width', 'learningRate', 'Seed']);
  t.deepEqual(table!.rows[0]![1], {
    words: '20250102-030405-bbbb0000',
    links: [`runs/${ROW}/20250102-030405-bbbb0000/record.json`],
    titles: [],
  });
  t.deepEqual(
    htmlTables(html!)[0]!.map((cells) => cells.map(({ words }) => words)),
    table!.rows.map((cells) => cells.map(({ words }) => words)),
  );
  t.is(runsOf(json!).join(''), 'bacde');

  t.is((await fcn(['runs', 'table', '--write', 'runs.md'], { cwd })).code, 0);
  await writeFiles(cwd, { 'mine.md': '# Mine\n' });
  const refused = await fcn(['runs', 'table', '--write', 'mine.md'], { cwd });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /mine\.md is a document that fcn runs table did not write/);
});

test('fcn table --file of a file that publishes nothing ranks its runs, and says nothing of publications', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeFiles(cwd, { 'mine.yaml': NARROW_AND_WIDE });
  const [runs, file] = [path.join(cwd, 'runs'), path.join(cwd, 'mine.yaml')];
  await writeRun(runs, { row: 'narrow', file }, { run: 'aaa', figures: figures(40) }, []);
  await writeRun(runs, { row: 'wide', file }, { run: 'bbb', figures: figures(50) }, []);
  await writeRun(runs, { row: ROW }, { run: 'ccc', figures: figures(60) }, []);
  const { code, stdout, stderr } = await fcn(['table', '--file', 'mine.yaml'], { cwd });
  t.is(code, 0, stderr);
  t.deepEqual(
    lines(stdout)
      .slice(0, 3)
      .map((line) => line.split(/ +/)),
    [
      ['Row', 'Run', 'State', 'width', 'Seed', 'mIoU'],
      ['wide', 'bbb', 'completed', '8', '0', '50.00'],
      ['narrow', 'aaa', 'completed', '4', '0', '40.00'],
    ],
  );
  t.notRegex(stdout, /publish|camvid/i);
  const json = await fcn(['table', '--file', 'mine.yaml', '--rows', 'nar*', '--json'], { cwd });
  t.like(JSON.parse(json.stdout), { runs: [{ row: 'narrow', run: 'aaa' }], tables: [] });
  const same = await fcn(['runs', 'table', '--file', 'mine.yaml'], { cwd });
  t.is(same.stdout, stdout);
  const sorted = await fcn(['table', '--file', 'mine.yaml', '--sort', 'difference'], { cwd });
  t.is(sorted.code, 2);
  t.regex(sorted.stderr, /--sort difference orders published rows, and nothing is published here/);
});

const counts = (classes: number) =>
  Array.from({ length: classes }, (_, label) =>
    Array.from({ length: classes }, (_, prediction) => {
      if (label === classes - 1) return 0;
      return prediction === label ? 500 + label : prediction === (label + 1) % (classes - 1) ? 500 - label : 0;
    }),
  );

test('runs show and compare of one run list the classes, sorted if asked for', async (t) => {
  const cwd = await temporaryFolder(t);
  const evaluate = makeEvaluation('camvid', counts(11), 10);
  const details = { train: null, evaluate, 'evaluate-ms': null, benchmark: null };
  const { directory } = await writeRun(path.join(cwd, 'runs'), { row: ROW }, { run: 'aaa', details }, []);
  const shown = await fcn(['runs', 'show', 'aaa'], { cwd });
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stdout, /\n\nSingle scale, each class in %: mIoU \d+\.\d\d, mAcc 50\.45, aAcc 50\.45\nClass +IoU +Acc/);
  t.regex(shown.stdout, /\nmIoU over 10 of 11 classes: bicyclist occurs in no label\.\n$/);
  const json = JSON.parse((await fcn(['runs', 'show', 'aaa', '--json'], { cwd })).stdout);
  t.deepEqual(json.classes.perClass, evaluate.perClass);
  t.is(json.classes.stage, 'evaluate');
  const compared = await fcn(['compare', 'aaa', '--sort', 'iou'], { cwd });
  t.is(compared.code, 0, compared.stderr);
  const best = [...evaluate.perClass].sort((a, b) => (b.iou ?? -1) - (a.iou ?? -1))[0]!.name;
  t.regex(compared.stdout, new RegExp(`\nClass.*\n${best} `));
  await writeFile(path.join(directory, 'record.json'), '{');
  const broken = await fcn(['runs', 'show', 'aaa'], { cwd });
  t.is(broken.code, 0, broken.stderr);
  t.notRegex(broken.stdout, /Class/);
});
