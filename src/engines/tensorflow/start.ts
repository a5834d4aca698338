import path from 'node:path';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../../support/errors.js';
import type { ConvolutionMode, Engine } from '../engine.js';
import { bfloat16Speed } from '../hardware.js';
import { saysOutOfMemory } from '../memory.js';
import { npmPackageVersion, packageRequire } from '../tool.js';
import { shapesCore, withTwinBackend } from '../twin.js';
import { addonFolder, addonRecipe, BINDING_FILE, HOST_FILE, OPERATIONS_FILE, recipeName } from './addon.js';
import { backendWithHalf, type NodeBackendClass } from './backend.js';
import { type HostAddon, prepareEnvironment, tuneAllocator, withoutBanner } from './environment.js';
import { NODE_PACKAGE } from './release.js';
import { ResidentMemory } from './resident.js';
import { shapesBinding, type TensorBinding } from './shapes.js';

interface BackendModule {
  readonly NodeJSKernelBackend: NodeBackendClass;
}

/** In the file name of each of TensorFlow's libraries. */
const LIBRARY_NAME = 'libtensorflow';

/** What this package's operations (src/engines/native/operations/operations.cc) say of themselves when they are loaded. */
interface OperationsAddon {
  /** The instruction set of the Winograd convolutions; null if this processor has none that they need. */
  readonly winogradInstructions: 'avx2' | 'avx512' | null;
}

/**
 * Loads the TensorFlow build in `folder` and makes it TensorFlow.js's backend. The npm package's own entry point is not used: it needs an
 * addon in node_modules and loads layers, data and converter. Tensors have no chained methods (`x.add(y)`): call `tf.add(x, y)`.
 * @param deterministic Compute the same bits in every run on GPUs, too.
 * @param convolution `fast` on GPUs and on processors without the instructions is `direct`, too.
 * @throws UserError if the library cannot be loaded.
 */
export async function startTensorflow(
  folder: string,
  deterministic: boolean,
  convolution: ConvolutionMode,
): Promise<Engine> {
  const require = packageRequire();
  const deterministicOnGpus = prepareEnvironment(deterministic);
  const userWantsLog = ['0', '1'].includes(process.env['TF_CPP_MIN_LOG_LEVEL'] ?? '');
  const addons = path.join(folder, addonFolder());
  const host = load<HostAddon>(require, path.join(addons, HOST_FILE));
  tuneAllocator(host);
  const loadBinding = () => load<TensorBinding>(require, path.join(addons, BINDING_FILE));
  const binding = userWantsLog ? loadBinding() : withoutBanner(host, loadBinding);
  const operations = load<OperationsAddon>(require, path.join(addons, OPERATIONS_FILE));

  const tf = require('@tensorflow/tfjs-core') as typeof tfjs;
  replaceIsNullOrUndefined();
  const { NodeJSKernelBackend } = withCoreAsUnionPackage(require, tf, () => {
    require(`${NODE_PACKAGE}/dist/register_all_kernels.js`);
    return require(`${NODE_PACKAGE}/dist/nodejs_kernel_backend.js`) as BackendModule;
  });
  const native = backendWithHalf(NodeJSKernelBackend, binding, NODE_PACKAGE);
  tf.registerBackend('tensorflow', () => native);
  if (!(await tf.setBackend('tensorflow'))) throw new Error('TensorFlow.js did not take the TensorFlow backend.');
  host.dropLibraryPages(LIBRARY_NAME);

  const device = binding.isUsingGpuDevice() ? 'gpu' : 'cpu';
  const instructions = device === 'cpu' ? operations.winogradInstructions : null;
  const fastBuild = instructions === null ? null : `${instructions}, ${recipeName(addonRecipe())}`;
  const halfSpeed = bfloat16Speed();
  const cpuPrecision = halfSpeed === null ? null : 'bf16';
  const engine: Engine = {
    name: 'tensorflow',
    tf,
    native,
    gpu: null,
    device,
    gathersReads: false,
    isNative: true,
    convolution: fastBuild === null ? 'direct' : convolution,
    convolutionBuild: convolution === 'fast' ? fastBuild : null,
    decidedPaths: new Map(),
    usesOneThread: false,
    isOutOfMemory: saysOutOfMemory,
    addressableBytes: null,
    withShapes: (work) => {
      const memory = new ResidentMemory();
      const twin = backendWithHalf(NodeJSKernelBackend, shapesBinding(binding, memory), NODE_PACKAGE);
      // A GPU has its tensors in its own memory.
      const residentBytes = () => (device === 'cpu' ? memory.peakBytes : null);
      return withTwinBackend(
        tf,
        () => twin,
        () =>
          work({
            ...engine,
            isTwin: true,
            tf: shapesCore(tf),
            native: twin,
            addressedBytes: () => null,
            residentBytes,
          }),
      );
    },
    isTwin: false,
    deterministic: device === 'cpu' || deterministicOnGpus,
    halfPrecision: device === 'gpu' ? 'fp16' : cpuPrecision,
    halfSpeed: device === 'cpu' ? halfSpeed : null,
    versions: {
      TensorFlow: binding.TF_Version,
      'TensorFlow.js': tf.version_core,
      'tfjs-node': npmPackageVersion(NODE_PACKAGE),
    },
  };
  return engine;
}

function load<T>(require: NodeJS.Require, file: string): T {
  try {
    return require(file) as T;
  } catch (error) {
    throw new UserError(
      `TensorFlow cannot be loaded from ${file}: ${(error as Error).message}`,
      'Install it again with fcn engines install --force, or use --engine wasm.',
      { cause: error },
    );
  }
}

/** tfjs-node 4.22 calls `util.isNullOrUndefined`, which Node 22 deprecates and Node 23 removed. */
function replaceIsNullOrUndefined(): void {
  const legacy = util as { isNullOrUndefined?: (value: unknown) => boolean };
  legacy.isNullOrUndefined = (value) => value === null || value === undefined;
}

const UNION_PACKAGE = '@tensorflow/tfjs';

/** Parts of Node's CommonJS loader that its types lack. */
interface ModuleLoader {
  new (id: string): NodeJS.Module;
  _resolveFilename(this: unknown, request: string, ...rest: unknown[]): string;
}

/**
 * Calls `load` while `require('@tensorflow/tfjs')` returns TensorFlow.js's core. tfjs-node requires that union package, but uses only its
 * core. Without the union's layers, data, converter and WebGL parts, every start takes 0.2 s and 20 MB less, and the installed package,
 * which leaves the union out, 140 MB less.
 */
function withCoreAsUnionPackage<T>(require: NodeJS.Require, tf: typeof tfjs, load: () => T): T {
  const Module = require('node:module') as ModuleLoader;
  const resolve = Module._resolveFilename;
  const standIn = new Module(UNION_PACKAGE);
  standIn.filename = UNION_PACKAGE;
  standIn.exports = tf;
  standIn.loaded = true;
  require.cache[UNION_PACKAGE] = standIn;
  Module._resolveFilename = function (request, ...rest) {
    return request === UNION_PACKAGE ? UNION_PACKAGE : resolve.call(this, request, ...rest);
  };
  try {
    return load();
  } finally {
    Module._resolveFilename = resolve;
  }
}
