import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import type { Kernels } from '../../../src/kernels/kernels.js';
import { FoldedNetwork } from '../../../src/network/inference.js';
import { NonFiniteOutputError } from '../../../src/network/overflow.js';
import { Segmentor } from '../../../src/network/segmentor.js';
import type { Precision } from '../../../src/recipe/experiment.js';
import { Draws, Purpose } from '../../../src/support/random.js';
import { withEngine } from '../../helpers/engines.js';
import { fcnRecipe } from '../../helpers/recipes.js';

type Change = (values: Float32Array) => Float32Array;

const times =
  (factor: number): Change =>
  (values) =>
    values.map((value) => value * factor);
const all =
  (value: number): Change =>
  (values) =>
    values.fill(value);

/** Places where an overflow begins: the changed parameters, and the place in the error's message. */
const PLACES: readonly {
  readonly title: string;
  readonly depth: 18 | 50;
  readonly changes: Readonly<Record<string, Change>>;
  readonly what: string;
}[] = [
  {
    title: 'a convolution before the max pool',
    depth: 50,
    changes: { 'backbone.stem.3.weight': times(1e21), 'backbone.stem.6.weight': times(1e21) },
    what: 'The output of backbone.stem.6',
  },
  {
    title: 'the first convolution of a block, −∞ alone, which the ReLU hides',
    depth: 18,
    changes: { 'backbone.layer2.1.conv1.weight': all(-3e38), 'backbone.layer2.1.bn1.bias': all(-3e38) },
    what: 'The output of backbone.layer2.1.conv1',
  },
  {
    title: 'the last convolution of a block, of ∞ and −∞',
    depth: 18,
    changes: { 'backbone.layer2.0.conv1.weight': times(2e30), 'backbone.layer2.0.conv2.weight': times(2e30) },
    what: 'The output of backbone.layer2.0.conv2',
  },
  {
    title: 'the middle of a bottleneck',
    depth: 50,
    changes: { 'backbone.layer3.2.conv1.weight': times(1e25), 'backbone.layer3.2.conv2.weight': times(1e25) },
    what: 'The output of backbone.layer3.2.conv2',
  },
  {
    title: 'the projection of a block',
    depth: 50,
    changes: { 'backbone.layer4.0.downsample.0.weight': all(2e38) },
    what: 'The output of backbone.layer4.0.downsample.0',
  },
  {
    title: 'the sum of a block, of two large numbers',
    depth: 18,
    changes: { 'backbone.layer3.0.bn2.bias': all(-2e38), 'backbone.layer3.0.downsample.1.bias': all(-2e38) },
    what: 'The output of backbone.layer3.0',
  },
  {
    title: 'the head',
    depth: 18,
    changes: { 'decode_head.convs.1.conv.weight': all(-3e38) },
    what: 'The output of decode_head.convs.1.conv',
  },
  {
    title: "the head's second input",
    depth: 18,
    changes: { 'decode_head.conv_cat.conv.weight': all(3e38) },
    what: 'The output of decode_head.conv_cat.conv',
  },
  {
    title: 'the logits',
    depth: 18,
    changes: { 'decode_head.conv_seg.weight': all(-3e38) },
    what: 'The output of decode_head.conv_seg',
  },
  {
    title: 'a weight that batch norm is folded into',
    depth: 18,
    changes: { 'backbone.layer1.1.bn2.weight': all(3e38), 'backbone.layer1.1.bn2.running_var': all(1e-6) },
    what: 'The filter of backbone.layer1.1.conv2, with batch norm folded in,',
  },
  {
    title: 'a bias that batch norm is folded into',
    depth: 18,
    changes: { 'backbone.layer1.0.bn1.running_mean': all(3e38), 'backbone.layer1.0.bn1.running_var': all(0) },
    what: 'The bias of backbone.layer1.0.conv1, with batch norm folded in,',
  },
];

/** The logits of a small image by a network with starting weights, some of them changed. Leaves no other tensor. */
export async function logitsOf(
  engine: Engine,
  kernels: Kernels,
  depth: 18 | 50,
  changes: Readonly<Record<string, Change>>,
  precision: Precision = 'fp32',
): Promise<Float32Array> {
  const { tf } = engine;
  const segmentor = new Segmentor(tf, kernels, fcnRecipe(depth, { width: 4, classes: 3 }));
  segmentor.initialise(0, true);
  const { architecture, parameters } = segmentor;
  for (const [path, change] of Object.entries(changes)) {
    const before = parameters.get(path);
    parameters.set(path, tf.tensor(change(before.dataSync().slice() as Float32Array), before.shape));
  }
  const pixels = new Float32Array(33 * 41 * 3);
  new Draws(5, Purpose.benchmark, 0).fillNormal(pixels, 1);
  try {
    const source = (path: string) => tf.clone(parameters.get(path));
    const network = new FoldedNetwork(tf, kernels, architecture, source, precision);
    const images: Tensor4D = tf.tensor4d(pixels, [1, 33, 41, 3]);
    try {
      const logits = await network.logits(images);
      const values = logits.dataSync().slice() as Float32Array;
      logits.dispose();
      return values;
    } finally {
      images.dispose();
      network.dispose();
    }
  } finally {
    segmentor.dispose();
  }
}

/** Tests of what overflows inside a network for inference, on an engine. */
export function overflowSuite(engineName: EngineName, precisions: readonly Precision[] = ['fp32']): void {
  const onEngine = withEngine(engineName);

  for (const { title, depth, changes, what } of PLACES) {
    onEngine(`an overflow ends the pass and is named: ${title}`, async (t, engine) => {
      const kernels = createKernels(engine);
      const before = engine.tf.memory().numTensors;
      for (const precision of precisions) {
        const error = await t.throwsAsync(logitsOf(engine, kernels, depth, changes, precision), {
          instanceOf: NonFiniteOutputError,
        });
        t.is(error.message, `${what} is not finite: the weights are finite, but computing with them overflows.`);
        t.is(error.exitCode, 3);
        t.regex(error.forImage('a.png').message, / is not finite for a\.png: /);
        t.is(engine.tf.memory().numTensors, before, 'tensors');
      }
    });
  }

  onEngine('a sound network is proved to be one by its images and few of its tensors', async (t, engine) => {
    const plain = createKernels(engine);
    let measured = 0;
    const kernels: Kernels = {
      ...plain,
      largestMagnitudeLater: (x, nonNegative) => {
        measured++;
        return plain.largestMagnitudeLater(x, nonNegative);
      },
    };
    for (const [depth, most] of [
      [18, 3],
      [50, 8],
    ] as const) {
      measured = 0;
      const logits = await logitsOf(engine, kernels, depth, {});
      t.true(logits.every(Number.isFinite) && logits.some((value) => value !== 0));
      t.true(measured >= 1 && measured <= most, `${measured} of depth ${depth}`);
    }
  });

  onEngine('values close to the end of float32 are looked at, and computed as they are', async (t, engine) => {
    const kernels = createKernels(engine);
    // Powers of two: what the one multiplies, the other divides without rounding.
    const scaled = {
      'backbone.layer2.1.conv1.weight': times(2 ** 110),
      'backbone.layer2.1.conv2.weight': times(2 ** -110),
      'decode_head.convs.0.conv.weight': times(2 ** 105),
      'decode_head.convs.1.conv.weight': times(2 ** -105),
    };
    let looked = 0;
    const noting: Kernels = {
      ...kernels,
      allFiniteLater: (tensors) => {
        if (tensors[0]!.shape[0] === 1 && tensors[0]!.shape[1] === 5) looked++;
        return kernels.allFiniteLater(tensors);
      },
    };
    t.deepEqual(await logitsOf(engine, noting, 18, scaled), await logitsOf(engine, kernels, 18, {}));
    t.true(looked >= 2, `${looked}`);
  });
}
