// Times this package's programs on a WebGPU adapter against TensorFlow.js's own WebGPU backend, in turn, each in a process of its own.
//
//   npm install --prefix DIR @tensorflow/tfjs-backend-webgpu@4.22.0 @tensorflow/tfjs-core@4.22.0 --ignore-scripts
//   node scripts/compare-webgpu.mjs --stock DIR [--size 128x256] [--width 64] [--reps 3] [--kernels] [--only NAME]
//     [--step]
//
// The stock side computes by the portable kernels (src/kernels/portable), stock operations of TensorFlow.js. Prints a line for each kernel
// and for a training step of R-18-D8 (batch 2): the least milliseconds of both sides, of wall-clock and of processor time, and ratios.
// Software adapters compute on the processor, where on a busy machine only processor time compares.
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startEngine } from '../dist/src/engines/selection.js';
import { dawnEvents, findAdapters } from '../dist/src/engines/webgpu/adapters.js';
import { ADDON, webgpuFolder } from '../dist/src/engines/webgpu/package.js';
import { preferAdapter } from '../dist/src/engines/webgpu/preference.js';
import { createKernels } from '../dist/src/kernels/create.js';
import { portableKernels } from '../dist/src/kernels/portable/index.js';
import { normalValues, randomBatch } from '../dist/src/measurement/roofline.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { TrainingStep } from '../dist/src/training/step.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const READ = 1;

const { values: flags } = parseArgs({
  options: {
    stock: { type: 'string' },
    size: { type: 'string', default: '128x256' },
    width: { type: 'string', default: '64' },
    reps: { type: 'string', default: '3' },
    kernels: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    step: { type: 'boolean', default: false },
    side: { type: 'string' },
  },
});
const [height, width] = flags.size.split('x').map(Number);
if (flags.stock === undefined || !(height > 0 && width > 0)) {
  process.stderr.write(
    'usage: compare-webgpu.mjs --stock DIR [--size HxW] [--width N] [--reps N] [--kernels] [--only NAME] [--step]\n',
  );
  process.exit(2);
}

/** TensorFlow.js with its own backend, which can read only asynchronously in Node: here it waits as this package's does. */
async function startStock() {
  const require = createRequire(path.join(path.resolve(flags.stock), 'package.json'));
  const folder = webgpuFolder();
  const [{ adapter }] = await findAdapters(folder);
  const events = dawnEvents(folder);
  Object.assign(globalThis, createRequire(import.meta.url)(path.join(folder, ADDON)).globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: {}, userAgent: '' }, configurable: true });
  const tf = require('@tensorflow/tfjs-core');
  const { WebGPUBackend } = require('@tensorflow/tfjs-backend-webgpu');
  const limits = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxComputeWorkgroupStorageSize'];
  const requiredLimits = Object.fromEntries(limits.map((name) => [name, adapter.limits[name]]));
  const device = await events.within(() => adapter.requestDevice({ requiredLimits }));
  const backend = new WebGPUBackend(device, adapter.info);
  backend.readSync = (dataId) => {
    const data = backend.tensorMap.get(dataId);
    if (data.values !== null && data.values !== undefined) return data.values;
    const { size } = data.resource;
    const staging = device.createBuffer({ size, usage: 9 });
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.commandEncoder.copyBufferToBuffer(data.resource, 0, staging, 0, size);
    backend.submitQueue();
    events.within(() => staging.mapAsync(READ));
    events.wait(() => staging.mapState !== 'pending');
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    return data.dtype === 'float32' ? new Float32Array(bytes) : new Int32Array(bytes);
  };
  backend.read = async (dataId) => backend.readSync(dataId);
  tf.registerBackend('stock', () => backend, 9);
  for (const config of tf.getKernelsForBackend('webgpu')) tf.registerKernel({ ...config, backendName: 'stock' });
  await tf.setBackend('stock');
  const engine = { name: 'stock', tf, native: null, gpu: null, device: 'gpu', gathersReads: false, isTwin: false };
  return { engine, kernels: portableKernels(tf), keep: device };
}

async function startOwn() {
  const engine = await startEngine({ engine: 'webgpu' });
  return { engine, kernels: createKernels(engine) };
}

/** Every kernel of a last stage's shapes at this size, and the step, by name. Each returns tensors, the last of which is waited for. */
async function works({ engine, kernels }) {
  const { tf } = engine;
  const channels = Number(flags.width);
  let seed = 0;
  const random = (...shape) =>
    tf.tensor4d(
      normalValues(
        shape.reduce((a, b) => a * b),
        0,
        ++seed,
      ),
      shape,
    );
  const [h, w] = [height / 4, width / 4];
  const [x, gradient] = [random(2, h, w, channels), random(2, h, w, channels)];
  const vector = () => tf.reshape(random(1, 1, 1, channels), [channels]);
  const normalisation = { gamma: vector(), beta: vector(), epsilon: 1e-5 };
  const statistics = { mean: vector(), variance: tf.fill([channels], 1.5) };
  const pooled = kernels.maxPool(x);
  const logits = random(2, h / 2, w / 2, 19);
  const large = kernels.resizeBilinear(logits, [height, width], false);
  const labels = tf.tensor3d(
    Int32Array.from({ length: 2 * height * width }, (_, i) => i % 19),
    [2, height, width],
    'int32',
  );
  const table = {
    addition: () => [kernels.add(x, gradient)],
    batchNorm: () => {
      const { y, statistics } = kernels.batchNorm(x, normalisation, { relu: true });
      return [statistics.mean, statistics.variance, y];
    },
    batchNormGradient: () =>
      Object.values(kernels.batchNormGradient(gradient, x, normalisation, statistics, x)).reverse(),
    maxPool: () => [kernels.maxPool(x)],
    maxPoolGradient: () => [kernels.maxPoolGradient(pooled, x, pooled)],
    resizeBilinear: () => [kernels.resizeBilinear(logits, [height, width], false)],
    resizeBilinearGradient: () => [kernels.resizeBilinearGradient(large, [h / 2, w / 2], false)],
    crossEntropy: () => Object.values(kernels.crossEntropy(large, labels, 255)),
    argmax: () => [kernels.argmax(large)],
    softmax: () => [kernels.softmax(large)],
    allFinite: () => (kernels.allFinite([x]) ? [] : []),
  };
  for (const [name, size, geometry] of [
    ['3×3', 3, { stride: 1, dilation: 1, padding: 1 }],
    ['3×3 dilation 2', 3, { stride: 1, dilation: 2, padding: 2 }],
    ['3×3 stride 2', 3, { stride: 2, dilation: 1, padding: 1 }],
    ['1×1', 1, { stride: 1, dilation: 1, padding: 0 }],
  ]) {
    const filter = random(size, size, channels, channels);
    const given = geometry.stride === 1 ? gradient : random(2, h / 2, w / 2, channels);
    table[`convolution ${name}`] = () => [kernels.convolution(x, filter, geometry)];
    table[`input gradient ${name}`] = () => [kernels.convolutionInputGradient(given, filter, x.shape, geometry)];
    table[`filter gradient ${name}`] = () => [kernels.convolutionFilterGradient(given, x, filter.shape, geometry)];
  }
  return table;
}

/** One training step after the other. */
function trainer({ engine, kernels }) {
  const experiment = resolve({ row: ROW, overrides: ['pretrained=null', `width=${flags.width}`] });
  const step = new TrainingStep(engine, experiment);
  if (engine.name === 'stock') Object.assign(step.segmentor.kernels, kernels);
  step.segmentor.initialise(0, false);
  const batch = randomBatch(2, [height, width], 19, 0);
  let iteration = 0;
  return async () => {
    await step.run(batch, iteration++);
    return [];
  };
}

async function serve(side) {
  preferAdapter({ allowSoftware: true });
  const started = side === 'own' ? await startOwn() : await startStock();
  const table = flags.kernels ? await works(started) : {};
  if (flags.step) table['training step'] = trainer(started);
  process.on('message', async (name) => {
    const { user, system } = process.cpuUsage();
    const start = performance.now();
    const tensors = await table[name]();
    tensors.at(-1)?.dataSync();
    const spent = process.cpuUsage();
    process.send({ ms: performance.now() - start, cpu: (spent.user + spent.system - user - system) / 1000 });
    started.engine.tf.dispose(tensors);
  });
  process.send(Object.keys(table));
}

/** The next message of a side, or an error when it ends. */
function answer(child) {
  return new Promise((resolvePromise, reject) => {
    const ended = (code) => reject(new Error(`A side ended with ${code}.`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolvePromise(message);
    });
  });
}

async function compare() {
  const file = fileURLToPath(import.meta.url);
  const sides = {};
  for (const side of ['own', 'stock']) {
    const child = fork(file, [...process.argv.slice(2), '--side', side]);
    sides[side] = { child, names: await answer(child) };
  }
  for (const name of sides.own.names.filter((one) => one.includes(flags.only))) {
    const least = { own: { ms: Infinity, cpu: Infinity }, stock: { ms: Infinity, cpu: Infinity } };
    for (let repetition = 0; repetition <= Number(flags.reps); repetition++) {
      for (const side of ['own', 'stock']) {
        sides[side].child.send(name);
        const { ms, cpu } = await answer(sides[side].child);
        // The first run compiles.
        if (repetition === 0) continue;
        least[side] = { ms: Math.min(least[side].ms, ms), cpu: Math.min(least[side].cpu, cpu) };
      }
    }
    const { own, stock } = least;
    const columns = [own.ms, stock.ms, own.cpu, stock.cpu].map((value) => value.toFixed(1).padStart(9));
    const ratios = [own.ms / stock.ms, own.cpu / stock.cpu].map((value) => value.toFixed(2).padStart(7));
    process.stdout.write(`${name.padEnd(32)}${columns.join('')}${ratios.join('')}\n`);
  }
  for (const { child } of Object.values(sides)) child.kill();
}

if (flags.side !== undefined) await serve(flags.side);
else {
  process.stdout.write(`${''.padEnd(32)}${'own ms   stock ms own cpu stock cpu  wall  cpu'}\n`);
  await compare();
}
