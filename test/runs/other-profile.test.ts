import path from 'node:path';
import test from 'ava';
import { architecture } from '../../src/network/architecture.js';
import { parameterSpecs } from '../../src/network/parameters.js';
import { resolve } from '../../src/recipe/resolve.js';
import { explainMisfit } from '../../src/runs/other-profile.js';
import { UserError } from '../../src/support/errors.js';
import { saveWeights } from '../../src/weights/convert.js';
import { elementCount } from '../../src/weights/tensor.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'camvid_r18-d8';

test('weights of the other profile are recognised by their shapes; other errors stay as they are', async (t) => {
  const file = path.join(await temporaryFolder(t), 'smoke.safetensors');
  const { model } = resolve({ row: ROW, profile: 'smoke' });
  const tensors = parameterSpecs(architecture(model))
    .filter(({ path }) => !path.startsWith('auxiliary_head.'))
    .map(({ path: name, shape }) => ({
      name,
      shape,
      dtype: 'float32' as const,
      ...(shape.length === 4 && { layout: 'hwio' as const }),
      data: new Float32Array(elementCount(shape)),
    }));
  await saveWeights(file, tensors);
  const error = new UserError('The shapes differ.', 'Give other weights.');
  const explained = async (recipe: object) => explainMisfit(error, { row: ROW, ...recipe }, file);
  const hint = (await explained({})) as UserError;
  t.is(hint.message, 'The shapes differ.');
  t.is(hint.next, 'The weights fit the smoke profile: add --profile smoke.');
  t.is(await explained({ profile: 'smoke' }), error, 'they fit: something else is wrong');
  t.is(await explained({ overrides: ['width=4'] }), error, 'they fit neither');
  t.is(await explained({ overrides: ['noSuchValue=4'] }), error, 'the recipe fits neither profile');
  const bug = new TypeError('bug');
  t.is(await explainMisfit(bug, { row: ROW }, file), bug);
});
