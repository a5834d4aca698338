import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import type { Engine } from '../engine.js';
import { saysOutOfMemory } from '../memory.js';
import { packageRequire } from '../tool.js';
import { shapesCore, withTwinBackend } from '../twin.js';
import { type AdapterChoice, chooseAdapter, dawnEvents, findAdapters } from './adapters.js';
import { WebGpuBackend } from './backend.js';
import { Device } from './device.js';
import { DeviceExecutor } from './device-executor.js';
import { GpuMemoryError } from './errors.js';
import { requestDevice, useBackend } from './open-device.js';
import { WEBGPU_VERSION } from './package.js';
import { ShapesExecutor } from './shapes-executor.js';

interface WebgpuOptions extends AdapterChoice {
  /** The largest tensor in bytes, if it is to be smaller than what the adapter takes. */
  readonly mostTensorBytes?: number;
}

/**
 * Starts Dawn's device on an adapter and makes it TensorFlow.js's backend, without TensorFlow.js's own WebGPU backend.
 * @param folder The installed package.
 * @throws UserError if there is no such adapter, or its driver refuses a device.
 */
export async function startWebgpu(folder: string, options: WebgpuOptions): Promise<Engine> {
  const choice = chooseAdapter(await findAdapters(folder), options);
  if (choice.kind === 'none')
    throw new UserError(`The webgpu engine cannot be started: ${choice.reason}.`, choice.next);
  const { description } = choice.chosen;
  const events = dawnEvents(folder);
  const gpuDevice = await events
    .within(() => requestDevice(choice.chosen.adapter))
    .catch((error: Error) => {
      throw new UserError(
        `The driver of ${description.name} refuses to start: ${error.message.split('\n')[0]}`,
        'Update the driver, choose another adapter with --adapter, or use another engine (--engine tensorflow or --engine wasm).',
        { cause: error },
      );
    });
  const executor = new DeviceExecutor(new Device(gpuDevice, events, description.name), options.mostTensorBytes);

  const tf = packageRequire()('@tensorflow/tfjs-core') as typeof tfjs;
  const backend = await useBackend(tf, executor);

  const engine: Engine = {
    name: 'webgpu',
    tf,
    native: null,
    gpu: backend,
    device: description.software ? 'cpu' : 'gpu',
    gathersReads: true,
    isNative: !description.software,
    convolution: 'direct',
    convolutionBuild: null,
    decidedPaths: new Map(),
    usesOneThread: false,
    isOutOfMemory: (error) => error instanceof GpuMemoryError || saysOutOfMemory(error),
    addressableBytes: null,
    withShapes: (work) => {
      const shapes = new ShapesExecutor(executor);
      const twin = new WebGpuBackend(shapes);
      const residentBytes = () => (description.software ? shapes.peakBytes : null);
      const known = { isTwin: true, tf: shapesCore(tf), gpu: twin, addressedBytes: () => null, residentBytes };
      return withTwinBackend(
        tf,
        () => twin,
        () => work({ ...engine, ...known }),
      );
    },
    isTwin: false,
    // No sum is taken in an order that chance decides, and each shape has one program.
    deterministic: true,
    halfPrecision: executor.hasHalf ? 'fp16' : null,
    halfSpeed: null,
    versions: {
      adapter: description.name,
      driver: description.driver || 'unknown',
      webgpu: WEBGPU_VERSION,
      'TensorFlow.js': tf.version_core,
    },
  };
  return engine;
}
