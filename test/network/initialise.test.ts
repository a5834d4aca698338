import test from 'ava';
import { architecture } from '../../src/network/architecture.js';
import { initialValue, parameterSpecs } from '../../src/network/parameters.js';
import { fcnRecipe } from '../helpers/recipes.js';

const specs = parameterSpecs(architecture(fcnRecipe(18)));
const options = { seed: 0, zeroLastGamma: (path: string) => path.endsWith('bn2.weight') };

function start(path: string): Float32Array {
  const index = specs.findIndex((spec) => spec.path === path);
  return initialValue(specs[index]!, index, options);
}

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

test('filters start Kaiming normal with fan-out', (t) => {
  const close = (path: string, expected: number) => {
    const values = start(path);
    // The sample deviation's own relative deviation is 1/√(2n); five of them.
    t.true(Math.abs(deviation(values) / expected - 1) < 5 / Math.sqrt(2 * values.length), path);
  };
  close('backbone.layer4.1.conv2.weight', Math.sqrt(2 / (9 * 512)));
  close('backbone.layer2.0.downsample.0.weight', Math.sqrt(2 / 128));
  close('decode_head.conv_cat.conv.weight', Math.sqrt(2 / (9 * 128)));
  close('auxiliary_head.conv_seg.weight', 0.01);
});

test('norms start as the identity, the last one of a block as 0 if requested', (t) => {
  t.true(start('backbone.layer1.0.bn1.weight').every((value) => value === 1));
  t.true(start('backbone.layer1.0.bn2.weight').every((value) => value === 0));
  t.true(start('backbone.layer1.0.bn1.bias').every((value) => value === 0));
  t.true(start('backbone.layer1.0.bn1.running_mean').every((value) => value === 0));
  t.true(start('backbone.layer1.0.bn1.running_var').every((value) => value === 1));
  t.true(start('decode_head.conv_seg.bias').every((value) => value === 0));
});

test('two filters of the same shape start differently', (t) => {
  t.notDeepEqual(start('backbone.layer1.0.conv1.weight'), start('backbone.layer1.1.conv1.weight'));
});
