import path from 'node:path';
import test from 'ava';
import { backboneOf, usedValues } from '../../src/recipe/backbones.js';
import { deviations, hashExperiment, recipeChanges, resolve } from '../../src/recipe/resolve.js';
import { selectRow } from '../../src/recipe/select.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const ROW = 'camvid_r18-d8';

test('initial weights are a deviation, and a recipe without any is as it was before there were any', (t) => {
  const plain = resolve({ row: ROW });
  t.false('initialWeights' in plain.model);
  const unset = resolve({ row: ROW, overrides: ['initialWeights=null', 'reset=null'] });
  t.is(hashExperiment(unset), hashExperiment(plain));
  t.deepEqual(deviations(unset), []);

  const tuned = resolve({ row: ROW, profile: 'smoke', overrides: ['initialWeights=some.pth', 'reset=classifier'] });
  t.like(tuned.model, { initialWeights: path.resolve('some.pth'), reset: 'classifier' });
  const found = deviations(tuned);
  t.deepEqual(
    found.filter(({ path: where }) => /initialWeights|reset/.test(where)),
    [
      { path: 'model.initialWeights', published: null, value: path.resolve('some.pth') },
      { path: 'model.reset', published: null, value: 'classifier' },
    ],
  );
  t.deepEqual(recipeChanges({ profile: 'smoke', experiment: tuned, deviations: found }), [
    'initialWeights=some.pth',
    'reset=classifier',
  ]);
  const reset = t.throws(() => resolve({ row: ROW, overrides: ['reset=classifier'] }), {
    instanceOf: UserError,
    message: /model\.reset is classifier, but there are no model\.initialWeights/,
  });
  t.regex(reset!.next!, /^Add --set initialWeights=FILE or /);
  t.throws(() => resolve({ row: ROW, overrides: ['initialWeights=x', 'reset=backbone'] }), { instanceOf: UserError });
});

test('initial weights take the place of the backbone, also where values are shown', (t) => {
  const row = 'fcn_r18-d8_512x1024_80k_cityscapes';
  const backbone = 'open-mmlab://resnet18_v1c';
  const plain = resolve({ row });
  t.is(backboneOf(plain.model), backbone);
  t.is(usedValues(plain).get('model.pretrained'), backbone);
  const tuned = resolve({ row, overrides: ['initialWeights=some.pth'] });
  t.is(backboneOf(tuned.model), null);
  t.is(usedValues(tuned).get('model.pretrained'), null);
  t.is(tuned.model.pretrained, backbone, 'the recipe stays what it was, and so does its hash');
});

test('initial weights in a file: a path is relative to it, published and the name of a run stay', async (t) => {
  const folder = await temporaryFolder(t);
  const table = (initialWeights: string) =>
    `table: Local\nrows:\n  - id: mine\n    parts: [R-18-D8]\n    recipe: ${JSON.stringify({
      model: { classes: 11, pretrained: null, initialWeights },
      data: { dataset: 'camvid', imageScaleWh: [96, 64], cropHw: [32, 32] },
      training: { batch: 2, iterations: 2, checkpointEvery: 2 },
      evaluation: { imageScaleWh: [96, 64] },
      benchmark: { trainingBatch: 2 },
    })}\n`;
  const cases = { 'w.pth': true, './w': true, there: true, published: false, 'ROW/RUN': false, 'RUN:best': false };
  await writeFiles(folder, { there: '' });
  for (const [name, isPath] of Object.entries(cases)) {
    await writeFiles(folder, { 'mine.yaml': table(name) });
    const { initialWeights } = selectRow(undefined, path.join(folder, 'mine.yaml')).recipe.model;
    t.is(initialWeights, isPath ? path.join(folder, name) : name);
  }
  const file = path.join(folder, 'mine.yaml');
  const without = resolve({ file, overrides: ['initialWeights=null'] });
  t.deepEqual(deviations(without, file), [{ path: 'model.initialWeights', published: 'RUN:best', value: null }]);
});
