import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { resolveRow } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { packageRoot } from '../../src/support/package.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { brokenMeanwhile } from '../helpers/small-runs.js';

const page = readFileSync(path.join(packageRoot(), 'docs', 'your-data.md'), 'utf8');

/** The contents of the page's code blocks of a kind. */
const blocks = (kind: string) =>
  [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].flatMap(([, found, text]) => (found === kind ? [text!] : []));

const commands = blocks('sh').flatMap((block) => block.trim().split('\n'));

test('the commands of docs/your-data.md run as they are printed', async (t) => {
  const cwd = await temporaryFolder(t);
  t.true(commands.length >= 8);
  for (const command of commands) {
    const [program, ...words] = command.split(' ');
    t.is(program, 'fcn');
    const { code, stdout, stderr } = await fcn(words, { cwd, env: { FCN_ENGINE: 'wasm' } });
    t.is(code, 0, `${command}\n${stderr}`);
    t.notRegex(stdout, /[Pp]ublished/, command);
  }
  for (const file of ['streets/report/index.html', 'streets/samples/index.html'])
    t.true(existsSync(path.join(cwd, file)), file);
});

test('the short file of docs/your-data.md is complete, and has three rows', async (t) => {
  const [text] = blocks('yaml') as [string];
  t.true(text.trim().split('\n').length <= 10);
  const file = path.join(await temporaryFolder(t), 'experiment.yaml');
  writeFileSync(file, text);
  const rows = selectRows({ file, all: true }).map((row) => resolveRow(row));
  t.deepEqual(
    rows.map(({ row, model }) => [row, model.depth, model.pretrained === null]),
    [
      ['streets_r18-d8', 18, false],
      ['streets_r50-d8', 50, false],
      ['streets_scratch', 18, true],
    ],
  );
});

test('the same file from elsewhere continues the same run, finds its data and its records', async (t) => {
  const cwd = await temporaryFolder(t);
  const elsewhere = path.join(cwd, 'somewhere', 'else');
  mkdirSync(elsewhere, { recursive: true });
  const env = { FCN_ENGINE: 'wasm', FCN_RUNS: path.join(cwd, 'runs'), FCN_RESULTS: path.join(cwd, 'results') };
  const generate = ['datasets', 'generate', 'camvid', '--images', '8', '--size', '64x96', '--data-root', 'example'];
  t.is((await fcn(generate, { cwd, env })).code, 0);
  const init = ['init', 'mine', '--images', 'example/camvid/images', '--labels', 'example/camvid/annotations'];
  t.is((await fcn(init, { cwd, env })).code, 0);
  const file = path.join(cwd, 'mine', 'experiment.yaml');
  const settings = ['--profile', 'smoke', '--set', 'width=4', '--set', 'iterations=4', '--set', 'checkpointEvery=2'];
  const train = (from: string, ...more: string[]) =>
    fcn(['train', '--file', path.relative(from, file), ...settings, ...more], { cwd: from, env });

  const edit = brokenMeanwhile(file, path.join(cwd, 'runs', 'mine_r18-d8'));
  const words = ['train', '--file', path.relative(cwd, file), ...settings, '--json'];
  const first = await fcn(words, { cwd, env, onStart: edit.onStart });
  t.is(first.code, 0, first.stderr);
  t.true(edit.restore(), 'the file was edited while the run went on');
  const run = JSON.parse(first.stdout) as { directory: string; record: { experimentHash: string } };
  const again = await train(elsewhere, '--resume', '--json');
  t.is(again.code, 0, again.stderr);
  t.is(JSON.parse(again.stdout).directory, run.directory);

  const shown = await fcn(['show', '--file', file, ...settings, '--json'], { cwd: elsewhere, env });
  t.is(JSON.parse(shown.stdout).hash, run.record.experimentHash);
  const report = await fcn(['report', 'mine_r18-d8', '--out', 'report'], { cwd: elsewhere, env });
  t.is(report.code, 0, report.stderr);

  // The run has its recipe, and knows where its data was.
  const evaluate = ['evaluate', '--weights', 'mine_r18-d8', '--set', 'evaluation.limit=1'];
  const evaluated = await fcn(evaluate, { cwd: elsewhere, env });
  t.is(evaluated.code, 0, evaluated.stderr);
  t.regex(evaluated.stdout, /^of {7}mine_r18-d8\/\S+ after iteration 4$/m);
  t.regex(evaluated.stderr, /\n\nNext:\n {2}fcn report \S+ --out report {2}a page about it\n$/);
  const nowhere = await fcn([...evaluate, '--data-root', 'data'], { cwd: elsewhere, env });
  t.regex(nowhere.stderr, /The data root \S+data does not exist/, 'what is given comes first');

  // Another description under the same name is another run.
  const dataset = path.join(cwd, 'mine', 'mine.yaml');
  writeFileSync(dataset, readFileSync(dataset, 'utf8').replace('images: images/val', 'images: ./images/val'));
  const refused = await train(elsewhere, '--resume');
  t.is(refused.code, 2, refused.stderr);
  t.regex(refused.stderr, /differs from the requested run in: content of the files that the recipe names/);
});

test('a file with several rows: all, list and show', async (t) => {
  const cwd = await temporaryFolder(t);
  writeFileSync(path.join(cwd, 'mine.yaml'), blocks('yaml')[0]!);
  const listed = await fcn(['list', '--file', 'mine.yaml'], { cwd });
  t.regex(listed.stdout, /^Local: 3 rows$/m);
  t.notRegex(listed.stdout, /mIoU|ublished/);
  const shown = await fcn(['show', '--file', 'mine.yaml'], { cwd });
  t.is(shown.code, 2);
  t.regex(
    shown.stderr,
    /mine\.yaml has 3 rows and none was given\.\nnext: Name one of: streets_r18-d8, streets_r50-d8, streets_scratch\./,
  );
  const reproduced = await fcn(['reproduce', '--file', 'mine.yaml'], { cwd });
  t.is(reproduced.code, 2);
  t.regex(reproduced.stderr, /take all with --all: streets_r18-d8/);
  const one = await fcn(['show', 'streets_scratch', '--file', 'mine.yaml'], { cwd });
  t.is(one.code, 0, one.stderr);
  t.regex(one.stdout, /changes to the row's recipe/);
  t.notRegex(one.stdout, /ublished/);
});

test('the data root of the file gives way to the environment and the flag', async (t) => {
  const cwd = await temporaryFolder(t);
  writeFileSync(path.join(cwd, 'mine.yaml'), blocks('yaml')[0]!.replace('streets.yaml', 'camvid'));
  const row = ['train', 'streets_scratch', '--file', 'mine.yaml'];
  const place = async (more: string[], env = {}) =>
    (await fcn([...row, ...more], { cwd, env: { FCN_ENGINE: 'wasm', ...env } })).stderr;
  t.regex(await place([]), new RegExp(`The data root ${path.join(path.dirname(cwd), 'example')} does not exist`));
  t.regex(await place([], { FCN_DATA_ROOT: '/nowhere/a' }), /The data root \/nowhere\/a does not exist/);
  t.regex(
    await place(['--data-root', '/nowhere/b'], { FCN_DATA_ROOT: '/nowhere/a' }),
    /The data root \/nowhere\/b does not/,
  );
});

test('fcn schema prints the schema of either file', async (t) => {
  const print = async (...words: string[]) =>
    JSON.parse((await fcn(['schema', ...words], { cwd: packageRoot() })).stdout);
  const read = (file: string) => JSON.parse(readFileSync(path.join(packageRoot(), file), 'utf8'));
  t.deepEqual(await print('dataset'), read('datasets/schema.json'));
  t.deepEqual(await print(), read('experiments/schema.json'));
  t.deepEqual(await print('base'), read('experiments/base.schema.json'));
});
