import { type EngineName, EngineUnavailableError } from './engine.js';
import { convolvesBfloat16 } from './hardware.js';
import { listGpus } from './nvidia.js';
import { addonRecipe, findCompiler } from './tensorflow/addon.js';
import { findPython } from './tensorflow/fetch.js';
import { currentBuild, installCommand, NODE_PACKAGE } from './tensorflow/location.js';
import { type InstallManifest, inspectInstall } from './tensorflow/manifest.js';
import { wheelSource } from './tensorflow/release.js';
import { npmPackageFolder, npmPackageVersion } from './tool.js';
import { WASM_PACKAGE } from './wasm/start.js';

export interface EngineStatus {
  readonly name: EngineName;
  readonly available: boolean;
  /** Whether `auto` takes it. */
  readonly isDefault: boolean;
  /** The 16-bit floats that it convolves at more than the rate of float32 here; null where none, or it cannot be used. */
  readonly halfPrecision: 'fp16' | 'bf16' | null;
  /** One sentence: why it is or is not available. */
  readonly reason: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Folder of its library; null where there is none. */
  readonly path: string | null;
}

/** What `auto` takes, in words. */
export const AUTO_ORDER = 'tensorflow where it is installed, else wasm';

/** The one with native code. */
export function nativeEngine(engines: readonly EngineStatus[]): EngineStatus {
  return engines.find(({ name }) => name === 'tensorflow')!;
}

export type TensorflowState =
  | { readonly kind: 'ready'; readonly folder: string; readonly manifest: InstallManifest }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unusable'; readonly folder: string; readonly reason: string };

/** Whether the native engine can be started, from what lies in the cache folder (`inspectInstall`); nothing is loaded. */
export async function tensorflowState(): Promise<TensorflowState> {
  const folder = await currentBuild();
  if (folder === null) return { kind: 'absent' };
  const state = await inspectInstall(folder, addonRecipe());
  if (state.kind === 'absent') {
    const reason = 'its addon has not been compiled for this version of fcn';
    return { kind: 'unusable', folder, reason };
  }
  if (state.kind === 'damaged') return { kind: 'unusable', folder, reason: `it is damaged: ${state.reason}` };
  return { kind: 'ready', folder, manifest: state.manifest };
}

/** All engines, in the order in which `auto` prefers them. Loads nothing heavy. */
export async function engineStatus(): Promise<EngineStatus[]> {
  const tensorflow = await tensorflowState();
  return [await tensorflowStatus(tensorflow), wasmStatus(tensorflow.kind === 'absent')];
}

/** The 16-bit float that a build has on this machine: that of a GPU which it can use, else the processor's. */
async function halfPrecisionOf({ variant }: InstallManifest): Promise<'fp16' | 'bf16' | null> {
  if (variant === 'gpu' && (await listGpus()).length > 0) return 'fp16';
  return convolvesBfloat16() ? 'bf16' : null;
}

async function tensorflowStatus(state: TensorflowState): Promise<EngineStatus> {
  const name = 'tensorflow';
  const tfjsNode = { 'tfjs-node': npmPackageVersion(NODE_PACKAGE) };
  switch (state.kind) {
    case 'ready': {
      const { manifest, folder } = state;
      const build = manifest.variant === 'gpu' ? 'CUDA build' : 'CPU build';
      return {
        name,
        available: true,
        isDefault: true,
        halfPrecision: await halfPrecisionOf(manifest),
        reason: `${build} of TensorFlow ${manifest.tensorflow}, installed ${manifest.installedAt.slice(0, 10)}.`,
        versions: { TensorFlow: manifest.tensorflow, ...tfjsNode },
        path: folder,
      };
    }
    case 'absent':
      return {
        name,
        available: false,
        isDefault: false,
        halfPrecision: null,
        reason: 'Not installed: fcn engines install sets it up.',
        versions: tfjsNode,
        path: null,
      };
    case 'unusable':
      return {
        name,
        available: false,
        isDefault: false,
        halfPrecision: null,
        reason: `Cannot be used: ${state.reason}. ${installCommand(state.folder)} mends it.`,
        versions: tfjsNode,
        path: state.folder,
      };
  }
}

function wasmStatus(isDefault: boolean): EngineStatus {
  return {
    name: 'wasm',
    available: true,
    isDefault,
    halfPrecision: null,
    reason: 'Part of this package: WebAssembly, no native code, one thread.',
    versions: { 'tfjs-backend-wasm': npmPackageVersion(WASM_PACKAGE) },
    path: npmPackageFolder(WASM_PACKAGE),
  };
}

/** What this machine lacks to install the native engine, one sentence each; empty where nothing is. Runs the tools to see. */
export async function missingForTensorflow(): Promise<string[]> {
  const checks = [async () => wheelSource('cpu'), findPython, findCompiler];
  const missing: string[] = [];
  for (const check of checks) {
    try {
      await check();
    } catch (error) {
      if (!(error instanceof EngineUnavailableError)) throw error;
      missing.push(error.message);
    }
  }
  return missing;
}
