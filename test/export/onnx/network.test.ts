import test from 'ava';
import { normalise } from '../../../src/data/transforms/normalise.js';
import { startEngine } from '../../../src/engines/selection.js';
import { encodeModel, type OnnxGraph } from '../../../src/export/onnx/model.js';
import { type GraphOptions, networkGraph } from '../../../src/export/onnx/network.js';
import { createKernels } from '../../../src/kernels/create.js';
import { architecture } from '../../../src/network/architecture.js';
import { loadInferenceNetwork, loadSharedWeights } from '../../../src/network/load.js';
import { differenceOfLargest } from '../../../src/parity/check.js';
import { caseImage, type NetworkCase, readNhwc } from '../../../src/parity/network/case.js';
import { TOLERANCES } from '../../../src/parity/tolerances.js';
import { float32FromBytes } from '../../../src/weights/dtypes.js';
import { withOnnxRuntime } from '../../helpers/onnxruntime.js';
import { FULL_SET, networkCase, networkNames, PACKAGE_SET } from '../../helpers/reference-set.js';

const ANY_SIZE: GraphOptions = { input: 'normalised', output: 'logits', weightType: 'float32', size: null };

async function graphOf(reference: NetworkCase, options: Partial<GraphOptions> = {}): Promise<OnnxGraph> {
  const { name, model } = reference;
  const engine = await startEngine({ engine: 'wasm' });
  const { weights } = await loadSharedWeights(engine, createKernels(engine), model, reference.weights());
  return networkGraph(name, architecture(model), weights, { ...ANY_SIZE, ...options });
}

function encode(graph: OnnxGraph): Uint8Array {
  return encodeModel({
    graph,
    producer: { name: 'test', version: '0' },
    operatorSet: 17,
    description: '',
    metadata: {},
  });
}

/** NHWC → NCHW values. */
function planes(values: Float32Array, [, height, width, channels]: readonly [number, number, number, number]) {
  const pixels = height * width;
  const result = new Float32Array(values.length);
  values.forEach((value, i) => {
    result[(i % channels) * pixels + Math.floor(i / channels)] = value;
  });
  return result;
}

/** The logits of a case's network at the size of the image, NHWC, as this package computes them. */
async function ownLogits(reference: NetworkCase, data: Float32Array, size: readonly [number, number]) {
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const network = await loadInferenceNetwork(engine, kernels, reference.model, reference.weights());
  const images = engine.tf.tensor4d(data, [1, ...size, 3]);
  const logits = await network.logits(images);
  const resized = kernels.resizeBilinear(logits, size, network.alignCorners);
  const values = resized.dataSync<'float32'>().slice();
  for (const tensor of [images, logits, resized]) tensor.dispose();
  network.dispose();
  return values;
}

for (const name of networkNames(PACKAGE_SET)) {
  test.serial(`the graph of ${name} names every value before its use, and uses every constant`, async (t) => {
    const graph = await graphOf(networkCase(PACKAGE_SET, name), { input: 'raw', output: 'classes' });
    const constants = graph.constants.map((constant) => constant.name);
    const known = new Set([...graph.inputs.map((input) => input.name), ...constants, '']);
    const used = new Set<string>();
    for (const { name: node, inputs, outputs } of graph.nodes) {
      for (const input of inputs) t.true(known.has(input), `${node} uses ${input}`);
      for (const input of inputs) used.add(input);
      for (const output of outputs) t.false(known.has(output), `${output} is made once`);
      for (const output of outputs) known.add(output);
    }
    t.deepEqual(
      graph.outputs.map((output) => output.name).filter((output) => !known.has(output)),
      [],
    );
    t.deepEqual(
      constants.filter((constant) => !used.has(constant)),
      [],
    );
  });
}

test.serial('weights in float16 are those in float32, rounded', async (t) => {
  const reference = networkCase(PACKAGE_SET, 'r18');
  const full = await graphOf(reference);
  const half = await graphOf(reference, { weightType: 'float16' });
  const parameters = full.constants.filter(({ name }) => /\.(weight|bias)$/.test(name));
  t.is(half.constants.length, full.constants.length);
  for (const { name, shape, bytes } of parameters) {
    const stored = half.constants.find((constant) => constant.name === `${name}.float16`)!;
    t.deepEqual(stored.shape, shape);
    const values = float32FromBytes(bytes, 'float32');
    const rounded = float32FromBytes(stored.bytes, 'float16');
    // Half a unit of the last of 11 bits; below 2^-14, of the smallest subnormal.
    t.true(values.every((value, i) => Math.abs(value - rounded[i]!) <= Math.max(2 ** -11 * Math.abs(value), 2 ** -25)));
  }
});

for (const set of [PACKAGE_SET, FULL_SET]) {
  for (const name of networkNames(set)) {
    withOnnxRuntime(`ONNX Runtime computes the logits of ${name} (${set.title})`, async (t, run) => {
      const reference = networkCase(set, name);
      const tolerance = TOLERANCES.logits(reference.model.depth, reference.noise);
      for (const imageName of Object.keys(reference.meta.images)) {
        const image = await caseImage(reference, imageName);
        if (image === null) continue;
        const { height, width } = image;
        const data = normalise(image);
        const model = encode(await graphOf(reference));
        const computed = await run(model, planes(data, [1, height, width, 3]), [1, 3, height, width]);
        const { classes } = reference.model;
        t.deepEqual(computed.dims, [1, classes, height, width]);
        const own = await ownLogits(reference, data, [height, width]);
        const shape = [1, height, width, classes] as const;
        t.true(differenceOfLargest(computed.data as Float32Array, planes(own, shape)) <= tolerance.limit);
        const file = `eval_${imageName}_encdec.npy`;
        if (!reference.folder.has(file)) continue;
        const original = planes(readNhwc(reference.folder, file).data, shape);
        t.true(differenceOfLargest(computed.data as Float32Array, original) <= tolerance.limit, 'as the original');
      }
    });
  }
}

for (const size of ['any', 'fixed'] as const) {
  withOnnxRuntime(`raw bytes become classes, at ${size} size`, async (t, run) => {
    const reference = networkCase(PACKAGE_SET, 'r18b');
    const image = (await caseImage(reference, Object.keys(reference.meta.images)[0]!))!;
    const { height, width } = image;
    const options = { input: 'raw', output: 'classes', size: size === 'any' ? null : { height, width } } as const;
    const model = encode(await graphOf(reference, options));
    const { dims, data } = await run(model, Uint8Array.from(image.data), [1, height, width, 3]);
    t.deepEqual(dims, [1, height, width]);
    const { classes } = reference.model;
    const logits = await ownLogits(reference, normalise(image), [height, width]);
    const largest = logits.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const { limit } = TOLERANCES.logits(reference.model.depth, reference.noise);
    for (let pixel = 0; pixel < height * width; pixel++) {
      const ofPixel = logits.subarray(pixel * classes, (pixel + 1) * classes);
      const best = Math.max(...ofPixel);
      // Another class only where it ties within twice the error of a logit.
      if (!(best - ofPixel[data[pixel]!]! <= 2 * limit * largest)) t.fail(`pixel ${pixel} is ${data[pixel]}`);
    }
    t.pass();
  });
}
