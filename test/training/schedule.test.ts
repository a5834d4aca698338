import test from 'ava';
import { learningRate } from '../../src/training/step.js';
import { near } from '../helpers/numeric.js';
import { trainingRecipe } from '../helpers/recipes.js';

test('poly schedule: base at 0, (base − min)(1 − i/max)^0.9 + min in between, above min at the last step', (t) => {
  const recipe = trainingRecipe({ iterations: 80_000 });
  t.is(learningRate(recipe, 0), 0.01);
  // 0.0099 · 0.5^0.9 + 0.0001
  near(t, learningRate(recipe, 40_000), 0.0099 * 0.5358867312681466 + 0.0001);
  const last = learningRate(recipe, 79_999);
  t.true(last > 1e-4 && last < 1.01e-4);
});
