import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { deviations, resolve } from '../../src/recipe/resolve.js';
import { loadTable } from '../../src/recipe/tables.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';

const VALID = `table: Mine
downloads: https://example.org/models
recipe:
  model: { classes: 3 }
  data: { dataset: mine, imageScaleWh: [64, 32], cropHw: [32, 32] }
  training: { batch: 2, iterations: 10, checkpointEvery: 5 }
  evaluation: { imageScaleWh: [64, 32] }
  benchmark: { trainingBatch: 2 }
rows:
  - { id: mine, parts: [R-18-D8], published: { mIoU: 50 }, weights: mine.pth, log: https://example.org/log.json }
`;

async function write(t: ExecutionContext, text: string): Promise<string> {
  const file = path.join(await temporaryFolder(t), 'mine.yaml');
  writeFileSync(file, text);
  return file;
}

test("a table of one's own needs a file and nothing else", async (t) => {
  const file = await write(t, VALID);
  const experiment = resolve({ file });
  t.is(experiment.row, 'mine');
  t.is(experiment.model.decodeHead.channels, 128, 'from the part');
  t.is(experiment.training.momentum, 0.9, 'from what all recipes share');
  t.deepEqual(experiment.published, { memoryGB: null, fps: null, mIoU: 50, mIoUMsFlip: null });
  t.is(experiment.weights, 'https://example.org/models/mine/mine.pth');
  t.is(experiment.log, 'https://example.org/log.json');
  t.deepEqual(deviations(resolve({ file, overrides: ['width=8'] }), file), [
    { path: 'model.width', published: 64, value: 8 },
  ]);
});

test('paths in a file are relative to it, names and addresses are what they are', async (t) => {
  const file = await write(t, VALID.replace('dataset: mine', 'dataset: ./mine.yaml'));
  const folder = path.dirname(file);
  t.is(resolve({ file }).data.dataset, path.join(folder, 'mine.yaml'));
  t.is(resolve({ file: path.relative('', file) }).data.dataset, path.join(folder, 'mine.yaml'));
  const backbone = (pretrained: string) => resolve({ file, overrides: [`pretrained=${pretrained}`] }).model.pretrained;
  t.is(backbone('backbone.pth'), path.resolve('backbone.pth'), 'a typed path is relative to the working folder');
  writeFileSync(
    file,
    VALID.replace('{ id: mine, ', '{ id: mine, recipe: { model: { pretrained: ../backbone.pth } }, '),
  );
  t.is(resolve({ file }).model.pretrained, path.join(path.dirname(folder), 'backbone.pth'));
  t.is(resolve({ file }).data.dataset, 'mine', 'the id of a data set');
});

const BROKEN: readonly [name: string, change: (text: string) => string, message: RegExp][] = [
  [
    'a misspelt key',
    (s) => s.replace('classes:', 'clases:'),
    /mine\.yaml:4: recipe\.model\.clases: unknown key; did you mean classes\?/,
  ],
  [
    'several misspelt keys and wrong values, but not what is missing because of them',
    (s) => s.replace('classes:', 'clases:').replace('batch: 2', 'batch: two, iteration: 3').replace('parts:', 'part:'),
    /mine\.yaml: 4 things are wrong\.\n {2}✗ \S*mine\.yaml:4: recipe\.model\.clases: unknown key; did you mean classes\?\n {2}✗ \S*:6: recipe\.training\.iteration: unknown key; did you mean iterations\?\n {2}✗ \S*:6: recipe\.training\.batch: expected a number, got "two"\.\n {2}✗ \S*:10: rows\[0\]\.part: unknown key; did you mean parts\?$/,
  ],
  [
    'more mistakes than are named',
    (s) => `${s}${Array.from({ length: 12 }, (_, i) => `other${i}: 1\n`).join('')}`,
    /mine\.yaml: 12 things are wrong\.[\s\S]*: other9: [^\n]*\n {2}✗ … and 2 more\.$/,
  ],
  [
    'an abbreviated key',
    (s) => s.replace('batch: 2', 'batch: 2, lr: 0.1'),
    /mine\.yaml:6: recipe\.training\.lr: unknown key; did you mean learningRate\?$/,
  ],
  [
    'a key that is near to nothing',
    (s) => s.replace('table: Mine', 'table: Mine\nfoo: 1'),
    /mine\.yaml:2: foo: unknown key; known keys: table, .*rows\.$/,
  ],
  [
    'an empty list',
    (s) => s.replace('evaluation: { ', 'evaluation: { ratios: [], '),
    /mine\.yaml:7: recipe\.evaluation\.ratios: expected a list with at least 1 item, got \[\]\.$/,
  ],
  [
    'an unknown key',
    (s) => s.replace('table: Mine', 'table: Mine\nqwertz: 1'),
    /mine\.yaml:2: qwertz: unknown key; known keys: table, /,
  ],
  [
    'a value of the wrong kind',
    (s) => s.replace('batch: 2', 'batch: two'),
    /mine\.yaml:6: recipe\.training\.batch: expected a number, got "two"/,
  ],
  [
    'a wrong figure in a row',
    (s) => s.replace('mIoU: 50', 'mIoU: fifty'),
    /mine\.yaml:10: rows\[0\]\.published\.mIoU: expected a number, got "fifty"/,
  ],
  ['no YAML', (s) => s.replace('[64, 32]', '[64, 32'), /mine\.yaml:5: /],
  ['a key twice', (s) => `${s}table: Mine\n`, /mine\.yaml:11: /],
  ['a missing key', (s) => s.replace('id: mine, ', ''), /mine\.yaml:10: rows\[0\]\.id: is missing/],
  ['an incomplete recipe', (s) => s.replace('iterations: 10, ', ''), /row mine: training\.iterations: is missing/],
  ['an unknown part', (s) => s.replace('R-18-D8', 'R-18-D9'), /row mine: unknown part R-18-D9; did you mean R-18-D8\?/],
  ['a row twice', (s) => `${s}  - { id: mine, parts: [R-18-D8] }\n`, /two rows are called mine/],
  [
    'weights that are no address',
    (s) => s.replace(/^downloads.*\n/m, ''),
    /mine\.yaml:9: rows\[0\]\.weights: expected a web address, .*, got "mine\.pth"/,
  ],
  [
    'a log of this machine',
    (s) =>
      s
        .replace('https://example.org/log.json', 'file:///tmp/log.json')
        .replace(/^downloads.*\n/m, '')
        .replace('mine.pth', 'https://a.b/c.pth'),
    /mine\.yaml:9: rows\[0\]\.log: expected a web address, .*, got "file:\/\/\/tmp\/log\.json"/,
  ],
  ['a row that is a path', (s) => s.replace('id: mine', 'id: ../mine'), /mine\.yaml:10: rows\[0\]\.id: /],
  [
    'a row whose id is too long',
    (s) => s.replace('id: mine', `id: ${'m'.repeat(128)}`),
    /mine\.yaml:10: rows\[0\]\.id: expected at most 127/,
  ],
];

for (const [name, change, message] of BROKEN) {
  test(`a file with ${name} is refused with its place`, async (t) => {
    const file = await write(t, change(VALID));
    t.throws(() => loadTable(file), { instanceOf: UserError, message });
  });
}

test('a file that is not there is named', async (t) => {
  t.throws(() => loadTable('/nowhere/mine.yaml'), {
    instanceOf: UserError,
    message: '/nowhere/mine.yaml does not exist.',
  });
});
