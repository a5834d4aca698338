import path from 'node:path';
import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { packageRequire } from '../../src/engines/tool.js';
import { WebGpuBackend } from '../../src/engines/webgpu/backend.js';
import { Device } from '../../src/engines/webgpu/device.js';
import { DeviceExecutor } from '../../src/engines/webgpu/device-executor.js';
import { DawnEvents } from '../../src/engines/webgpu/events.js';
import type { DawnModule, Gpu } from '../../src/engines/webgpu/gpu.js';
import { registerOperations } from '../../src/engines/webgpu/operations/register.js';
import { ADDON, inspectPackage, webgpuFolder } from '../../src/engines/webgpu/package.js';
import type { Kernels } from '../../src/kernels/kernels.js';
import { webgpuKernels } from '../../src/kernels/webgpu/index.js';

const installed = await inspectPackage(webgpuFolder());
const onDawn = installed.kind === 'complete' ? test : test.skip;

/** Referenced until the process ends: collected, it would crash. */
const kept: Gpu[] = [];

/** Kernels on Dawn's device that checks all and computes nothing: it has float16 on any machine. */
async function checkingKernels(): Promise<{ tf: typeof tfjs; kernels: Kernels }> {
  const require = packageRequire();
  const tf = require('@tensorflow/tfjs-core') as typeof tfjs;
  const gpu = (require(path.join(webgpuFolder(), ADDON)) as DawnModule).create(['backend=null']);
  kept.push(gpu);
  const events = new DawnEvents();
  const adapter = await events.within(() => gpu.requestAdapter());
  const device = await events.within(() =>
    adapter!.requestDevice({ requiredLimits: {}, requiredFeatures: ['shader-f16'] }),
  );
  const backend = new WebGpuBackend(new DeviceExecutor(new Device(device, events, 'the null device')));
  registerOperations(tf, 'checking');
  tf.registerBackend('checking', () => backend);
  await tf.setBackend('checking');
  return { tf, kernels: webgpuKernels({ name: 'webgpu', tf, gpu: backend } as unknown as Engine) };
}

onDawn(
  'every program is valid in both precisions, with and without vectors, within WebGPU’s default limits',
  async (t) => {
    const { tf, kernels } = await checkingKernels();
    let precision: 'fp16' | 'fp32' = 'fp16';
    const image = (...shape: [number, number, number, number]): Tensor4D => {
      const full = tf.fill(shape, 1) as Tensor4D;
      const result = kernels.cast(full, precision);
      full.dispose();
      return result;
    };
    const results: (Tensor | boolean | number)[] = [];
    for (const channels of [8, 3, 8, 3]) {
      if (results.length === 2 * 27) precision = 'fp32';
      const [x, gradient] = [image(2, 8, 12, channels), image(2, 8, 12, channels)];
      const vector = tf.fill([channels], 1) as Tensor1D;
      const filters = [image(3, 3, channels, channels), tf.fill([3, 3, channels, channels], 1) as Tensor4D];
      const geometry = { stride: 1, dilation: 1, padding: 1 };
      const normalisation = { gamma: vector, beta: vector, epsilon: 1e-5 };
      for (const filter of filters) {
        results.push(
          kernels.convolution(x, filter, geometry),
          kernels.convolutionBias(x, filter, vector, geometry, true, gradient),
          kernels.convolutionInputGradient(gradient, filter, x.shape, { ...geometry, stride: 1 }),
          kernels.convolutionFilterGradient(gradient, x, filter.shape, geometry),
        );
      }
      const { y, statistics } = kernels.batchNorm(x, normalisation, { relu: true, residual: gradient });
      const norm = kernels.batchNormGradient(gradient, x, normalisation, statistics, y);
      results.push(y, norm.x, norm.gamma, norm.beta);
      results.push(kernels.batchNormGradient(gradient, x, normalisation, statistics, null).x);
      const pooled = kernels.maxPool(x);
      results.push(pooled, kernels.maxPoolGradient(pooled, x, pooled));
      results.push(
        kernels.relu(x),
        kernels.reluGradient([tf.clone(gradient), tf.clone(gradient)], y),
        kernels.add(x, gradient),
      );
      results.push(kernels.concatenateChannels(x, gradient), kernels.sliceChannels(x, 1, 2));
      results.push(kernels.scaleChannels(x, tf.fill([2, 1, 1, channels], 1) as Tensor4D));
      results.push(kernels.resizeBilinear(x, [16, 24], false), kernels.cast(x, 'fp32'));
      results.push(kernels.allFinite([x]), kernels.largestMagnitude(x));
      const moved = kernels.momentumStep(tf.fill(x.shape, 1), gradient, tf.fill(x.shape, 0), {
        learningRate: 0.1,
        momentum: 0.9,
        weightDecay: 0,
      });
      results.push(moved.parameter, moved.velocity);
    }
    // Each program was compiled, and each dispatch checked, when the last value was read.
    t.is(results.length, 4 * 27);
    t.true(results.every((result) => result !== null));
  },
);
