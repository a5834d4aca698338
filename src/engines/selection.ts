import { UserError } from '../support/errors.js';
import { ENGINE_NAMES, type Engine, type EngineName, EngineUnavailableError } from './engine.js';
import { convolvesBfloat16, listGpus } from './hardware.js';
import { addonRecipe, findCompiler } from './tensorflow/addon.js';
import { findPython } from './tensorflow/fetch.js';
import { type InstallManifest, inspectInstall } from './tensorflow/manifest.js';
import { currentBuild, installCommand, NODE_PACKAGE, wheelSource } from './tensorflow/release.js';
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

type TensorflowState =
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

let started: { readonly name: EngineName; readonly engine: Promise<Engine> } | null = null;

interface StartOptions {
  readonly engine?: EngineName | 'auto';
  /** The same bits in every run on GPUs, too, which costs speed; processors always give them. */
  readonly deterministic?: boolean;
}

/**
 * Starts an engine. "auto" (the default) takes tensorflow where it is installed, else wasm. TensorFlow.js has one
 * backend a process, so there is one engine a process: asked again, the same is returned.
 * @throws UserError when the engine is unknown, not installed or damaged; Error when another one is running already.
 */
export async function startEngine(options: StartOptions = {}): Promise<Engine> {
  const { engine: wanted = 'auto', deterministic = false } = options;
  if (wanted !== 'auto' && !ENGINE_NAMES.includes(wanted)) {
    throw new UserError(`Unknown engine "${wanted}": expected auto, ${ENGINE_NAMES.join(' or ')}.`);
  }
  if (started === null) {
    const name = wanted === 'auto' ? await preferredEngine() : wanted;
    started ??= { name, engine: startAlone(name, deterministic) };
  }
  if (wanted !== 'auto' && wanted !== started.name) {
    throw new Error(`The ${started.name} engine is running: the ${wanted} engine needs a process of its own.`);
  }
  const engine = await started.engine;
  if (deterministic && !engine.deterministic) {
    throw new Error(`The ${engine.name} engine is running: a deterministic one needs a process of its own.`);
  }
  return engine;
}

/** A start that fails holds no place. */
async function startAlone(name: EngineName, deterministic: boolean): Promise<Engine> {
  try {
    return await start(name, deterministic);
  } catch (error) {
    started = null;
    throw error;
  }
}

/** The engine that "auto" stands for. An installation that is damaged is not passed over in silence: starting it says so. */
export async function preferredEngine(): Promise<EngineName> {
  return (await tensorflowState()).kind === 'absent' ? 'wasm' : 'tensorflow';
}

async function start(name: EngineName, deterministic: boolean): Promise<Engine> {
  switch (name) {
    case 'wasm':
      return (await import('./wasm/start.js')).startWasm();
    case 'tensorflow':
      return startInstalled(deterministic);
  }
}

async function startInstalled(deterministic: boolean): Promise<Engine> {
  const state = await tensorflowState();
  switch (state.kind) {
    case 'ready':
      return (await import('./tensorflow/start.js')).startTensorflow(state.folder, deterministic);
    case 'absent':
      throw new UserError(
        'The tensorflow engine is not installed.',
        'Install it with fcn engines install, or use --engine wasm.',
      );
    case 'unusable':
      throw new UserError(
        `The tensorflow engine in ${state.folder} cannot be used: ${state.reason}.`,
        `Mend it with ${installCommand(state.folder)}, or use --engine wasm.`,
      );
  }
}
