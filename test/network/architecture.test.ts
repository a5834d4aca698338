import { readFileSync } from 'node:fs';
import test from 'ava';
import { architecture } from '../../src/network/architecture.js';
import { complexity, convolutionFlops } from '../../src/network/complexity.js';
import { BATCH_COUNTER, parameterSpecs } from '../../src/network/parameters.js';
import type { ModelRecipe } from '../../src/recipe/experiment.js';
import { UserError } from '../../src/support/errors.js';
import { factsFile } from '../helpers/facts.js';
import { fcnRecipe } from '../helpers/recipes.js';
import { withShared } from '../helpers/shared.js';

/** The published keys with their shapes, as "key<TAB>OIHW shape". */
function keysOf(recipe: ModelRecipe): string[] {
  return parameterSpecs(architecture(recipe)).flatMap(({ path, kind, shape }) => {
    const [height, width, input, output] = shape;
    const line = `${path}\t${kind === 'filter' ? [output, input, height, width].join('x') : shape.join('x')}`;
    const counter = `${path.replace(/[^.]+$/, BATCH_COUNTER)}\tscalar`;
    return kind === 'runningVariance' ? [line, counter] : [line];
  });
}

function keptKeys(name: string): string[] {
  return readFileSync(factsFile('state-dict-keys', `${name}.txt`), 'utf8')
    .trim()
    .split('\n');
}

const keyFiles: Record<string, ModelRecipe> = {
  keys_r18: fcnRecipe(18),
  keys_r18b: fcnRecipe(18, { stem: '7x7' }),
  keys_r50: fcnRecipe(50),
  keys_r50b: fcnRecipe(50, { stem: '7x7' }),
  keys_r101: fcnRecipe(101),
  keys_d6_r50: fcnRecipe(50, { strides: [1, 2, 2, 1], dilations: [1, 1, 1, 2] }),
};

for (const [name, recipe] of Object.entries(keyFiles)) {
  test(`${name}: parameters have the published names, order and shapes`, (t) => {
    t.deepEqual(keysOf(recipe), keptKeys(name));
  });

  withShared(
    'facts',
    'state-dict-keys',
    `${name}.txt`,
  )(`${name}: the keys that are kept are the published ones`, (t, file) => {
    const published = readFileSync(file, 'utf8').trim().split('\n');
    t.deepEqual(
      keptKeys(name),
      published.map((line) => line.split('\t').slice(0, 2).join('\t')),
    );
  });
}

test('contracted dilation: the first block of a dilated stage uses half of it, ResNet-18 only on conv1', (t) => {
  const dilations = (recipe: ModelRecipe, stage: number) =>
    architecture(recipe).stages[stage]!.map((block) => block.units.map((unit) => unit.geometry.dilation));
  t.deepEqual(dilations(fcnRecipe(18), 3), [
    [2, 1],
    [4, 1],
  ]);
  t.deepEqual(dilations(fcnRecipe(50), 3), [
    [1, 2, 1],
    [1, 4, 1],
    [1, 4, 1],
  ]);
  t.deepEqual(dilations(fcnRecipe(50, { contractDilation: false }), 3)[0], [1, 4, 1]);
});

test('the dilation of the D6 rows applies to the heads’ convolutions and not to conv_cat', (t) => {
  const recipe = fcnRecipe(50);
  const { decodeHead } = architecture({ ...recipe, decodeHead: { ...recipe.decodeHead, dilation: 6 } });
  t.deepEqual(
    decodeHead.convolutions.map((unit) => unit.geometry),
    [
      { stride: 1, dilation: 6, padding: 6 },
      { stride: 1, dilation: 6, padding: 6 },
    ],
  );
  t.deepEqual(decodeHead.concatenation!.geometry, { stride: 1, dilation: 1, padding: 1 });
});

test('a width that gives a fraction of a channel is refused with the place', (t) => {
  const error = t.throws(() => architecture(fcnRecipe(18, { width: 3 })), { instanceOf: UserError });
  t.regex(error!.message, /model\.width 3 gives 1\.5 channels at backbone\.stem\.0/);
});

test('parameters and operations of R-50-D8', (t) => {
  const recipe = fcnRecipe(50);
  const { parameters, flops, trainingForwardFlops, trainingFlops } = complexity(recipe, [512, 1024]);
  // The sum over the published keys without running statistics and counters.
  t.is(parameters, 49_497_734);
  const perConvolution = convolutionFlops(architecture(recipe), [512, 1024]);
  // conv_cat: 2 · 64·128 pixels · 2560 → 512 channels · 9 taps.
  t.is(perConvolution.get('decode_head.conv_cat.conv'), 2 * 64 * 128 * 2560 * 512 * 9);
  // The 1×1 stride-2 projection of layer2 works at 64×128.
  t.is(perConvolution.get('backbone.layer2.0.downsample.0'), 2 * 64 * 128 * 256 * 512);
  t.is(perConvolution.get('backbone.stem.0'), 2 * 256 * 512 * 3 * 32 * 9);
  const auxiliary = perConvolution.get('auxiliary_head.convs.0.conv')! + perConvolution.get('auxiliary_head.conv_seg')!;
  t.is(trainingForwardFlops, flops + auxiliary);
  t.is(trainingFlops, 3 * trainingForwardFlops - perConvolution.get('backbone.stem.0')!);
});
