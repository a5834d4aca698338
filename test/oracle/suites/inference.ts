import test, { type ExecutionContext } from 'ava';
import type { View } from '../../../src/data/batch.js';
import { decodeRgb } from '../../../src/data/decode.js';
import { normalise } from '../../../src/data/transforms/normalise.js';
import { resizeBilinear } from '../../../src/data/transforms/resize.js';
import { keepRatioSize, scaleByRatio } from '../../../src/data/transforms/size.js';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { Predictor } from '../../../src/evaluation/inference.js';
import type { InferenceMode } from '../../../src/evaluation/windows.js';
import { createKernels } from '../../../src/kernels/create.js';
import type { Kernels } from '../../../src/kernels/kernels.js';
import { loadInferenceNetwork } from '../../../src/nn/load.js';
import type { InferenceNetwork } from '../../../src/nn/network.js';
import { startTestEngine } from '../../helpers/engines.js';
import { readBytes } from '../../helpers/npy.js';
import { assertClose } from '../../helpers/numeric.js';
import { type OracleCase, oracleCase, oracleCaseNames, readNhwc } from '../../helpers/oracle.js';

/** The image resized for each ratio, as the test pipeline does. */
async function viewsOf(oracle: OracleCase, image: 'a' | 'b', ratios: readonly number[]) {
  const rgb = await decodeRgb(oracle.file(`img_${image}.png`));
  const views = ratios.map((ratio): View => {
    const size = keepRatioSize(rgb, scaleByRatio(oracle.meta.test.img_scale_wh, ratio));
    return { ratio, ...size, image: normalise(resizeBilinear(rgb, size)) };
  });
  return { size: [rgb.height, rgb.width] as const, views };
}

/** Predictions may differ from the reference only where its two best classes are nearly equal. */
async function checkPredictions(
  t: ExecutionContext,
  oracle: OracleCase,
  predictor: (mode: InferenceMode) => Predictor,
): Promise<void> {
  const { test: settings, argmax_margins: margins } = oracle.meta;
  const modes: InferenceMode[] = [
    { mode: 'whole', cropHw: null, strideHw: null },
    { mode: 'slide', cropHw: settings.slide_crop_hw, strideHw: settings.slide_stride_hw },
  ];
  for (const image of ['a', 'b'] as const) {
    for (const multiScale of [false, true]) {
      const views = await viewsOf(oracle, image, multiScale ? settings.ratios : [1]);
      for (const mode of modes) {
        const name = `${multiScale ? 'ms_' : ''}${mode.mode}_${image}`;
        const expected = readBytes(oracle.file(`${name}_pred.npy`)).data;
        const actual = await predictor(mode).predict({ ...views, flip: multiScale });
        const differing = actual.reduce((n, value, i) => n + (value === expected[i] ? 0 : 1), 0);
        const allowed = margins[name]!.below_1e_4;
        t.is(actual.length, expected.length, `${name}: pixels`);
        t.true(differing <= allowed, `${name}: ${differing} pixels differ, at most ${allowed} may`);
      }
    }
  }
}

function checkLogits(
  t: ExecutionContext,
  { tf }: Engine,
  kernels: Kernels,
  network: InferenceNetwork,
  oracle: OracleCase,
): void {
  const input = readNhwc(oracle, 'eval_a_input');
  const images = tf.tensor4d(input.data, input.shape);
  const logits = network.logits(images);
  images.dispose();
  const expected = readNhwc(oracle, 'eval_a_logits');
  t.deepEqual(logits.shape, expected.shape);
  const tolerance = { ofLargest: oracle.model.depth === 101 ? 1e-4 : 5e-5 };
  assertClose(t, logits.dataSync(), expected.data, tolerance, 'logits');
  if (['r18', 'd6_r50', 'r50_769', 'd6_r50_769'].includes(oracle.name)) {
    const resized = kernels.resizeBilinear(logits, [input.shape[1], input.shape[2]], network.alignCorners);
    assertClose(t, resized.dataSync(), readNhwc(oracle, 'eval_a_encdec').data, tolerance, 'resized logits');
    resized.dispose();
  }
  logits.dispose();
}

/** Declares the tests of inference against the reference data, on one engine. */
export function inferenceSuite(engineName: EngineName, chosen?: readonly string[]): void {
  const names = oracleCaseNames().filter((name) => chosen?.includes(name) ?? true);
  if (names.length === 0) {
    test('inference against the reference data', (t) => {
      t.log('No reference data here: skipped.');
      t.pass();
    });
  }
  for (const name of names) {
    test.serial(`${name}: logits and predictions (${engineName})`, async (t) => {
      const engine = await startTestEngine(engineName);
      if (engine === null) {
        t.log(`The ${engineName} engine is not installed: skipped.`);
        t.pass();
        return;
      }
      const kernels = createKernels(engine);
      const oracle = oracleCase(name);
      const before = engine.tf.memory().numTensors;
      const network = await loadInferenceNetwork(engine, kernels, oracle.model, oracle.file('model.pth'));
      checkLogits(t, engine, kernels, network, oracle);
      await checkPredictions(t, oracle, (recipe) => new Predictor({ engine, kernels, network, recipe }));
      if (name === 'r18') {
        const views = await viewsOf(oracle, 'a', oracle.meta.test.ratios);
        const recipe: InferenceMode = { mode: 'whole', cropHw: null, strideHw: null };
        const actual = await new Predictor({ engine, kernels, network, recipe }).probabilities({
          ...views,
          flip: true,
        });
        assertClose(t, actual, readNhwc(oracle, 'ms_whole_a_prob').data, { absolute: 2e-5 }, 'mean probabilities');
      }
      network.dispose();
      t.is(engine.tf.memory().numTensors, before, 'tensors');
    });
  }
}
