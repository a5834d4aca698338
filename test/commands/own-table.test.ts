import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/support/package.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { brokenMeanwhile } from '../helpers/small-runs.js';

const TABLE = `table: Mine
tolerance: { mIoU: 1, mIoUMsFlip: 1, reason: chosen for the test }
recipe:
  model: { classes: 11, width: 4, pretrained: null }
  data: { dataset: ../sets/mine.yaml, imageScaleWh: [96, 64], cropHw: [32, 32] }
  training: { batch: 2, iterations: 2, checkpointEvery: 2 }
  evaluation: { imageScaleWh: [96, 64], limit: 1 }
  benchmark: { trainingBatch: 2 }
rows:
  - { id: mine, parts: [R-18-D8], recipe: { model: { width: 4, pretrained: null } }, published: { mIoU: 56.78 } }
`;

test('your own table compares with the figures that it gives, and is never mistaken for one of the package', async (t) => {
  const cwd = await temporaryFolder(t);
  const generated = await fcn(['datasets', 'generate', 'camvid', '--images', '4', '--size', '64x96'], { cwd });
  t.is(generated.code, 0, generated.stderr);
  // Figures of generated images have no comparison: these stand for real ones.
  rmSync(path.join(cwd, 'data', 'camvid', 'synthetic.json'));
  mkdirSync(path.join(cwd, 'sets'));
  mkdirSync(path.join(cwd, 'tables'));
  copyFileSync(path.join(packageRoot(), 'datasets', 'camvid.yaml'), path.join(cwd, 'sets', 'mine.yaml'));
  const file = path.join('tables', 'mine.yaml');
  writeFileSync(path.join(cwd, file), TABLE);

  const stages = ['--stage', 'train', '--stage', 'evaluate'];
  const edit = brokenMeanwhile(path.join(cwd, file), path.join(cwd, 'runs', 'mine'));
  const run = await fcn(['reproduce', '--file', file, '--engine', 'wasm', ...stages], { cwd, onStart: edit.onStart });
  t.is(run.code, 0, run.stderr);
  t.true(edit.restore(), 'the file was edited while the run went on');
  t.notRegex(run.stdout, /Compares with nothing published/);
  const [, published, here] = /mIoU *│ *([\d.]+) *│ *([\d.]+)/.exec(run.stdout) ?? [];
  t.is(published, '56.78', run.stdout);
  t.true(Number(here) < 50);

  const own = await fcn(['table', '--file', file], { cwd });
  t.is(own.code, 0, own.stderr);
  t.regex(own.stdout, /^Mine$/m);
  t.true(own.stdout.includes('Published figures are from tables/mine.yaml; fcn itself has none of them.'));
  t.regex(own.stdout, new RegExp(`here \\[1\\] .*${here}↓`));
  t.notRegex(own.stdout, /Cityscapes|ADE20K/);
  const { tables, otherRuns } = JSON.parse((await fcn(['table', '--file', file, '--json'], { cwd })).stdout);
  t.is(tables.length, 1);
  t.like(tables[0], { table: 'Mine', file, rows: [{ row: 'mine', config: path.join(cwd, file) }] });
  t.deepEqual(otherRuns, []);

  const all = await fcn(['table', '--json'], { cwd });
  const report = JSON.parse(all.stdout);
  t.false(report.tables.some((table: { table: string }) => table.table === 'Mine'));
  t.like(report.otherRuns, [{ row: 'mine', reason: 'nothing published' }]);
  const written = await fcn(['table', '--file', file, '--write', 'README.md'], { cwd });
  t.is(written.code, 2);

  writeFileSync(path.join(cwd, 'other.yaml'), TABLE.replace('../sets', 'sets').replace('Mine', 'Other'));
  const twice = await fcn(['table', '--file', file, '--file', 'other.yaml'], { cwd });
  t.is(twice.code, 2);
  t.regex(twice.stderr, /The row mine is in tables\/mine\.yaml and in other\.yaml\./);
});
