import path from 'node:path';
import { UserError } from '../support/errors.js';
import {
  autoEngine,
  type ConvolutionMode,
  ENGINE_NAMES,
  type Engine,
  type EngineName,
  EngineUnavailableError,
} from './engine.js';
import { bfloat16Speed, listGpus } from './hardware.js';
import { addonRecipe, findCompiler } from './tensorflow/addon.js';
import { type InstallManifest, inspectInstall } from './tensorflow/manifest.js';
import { currentBuild, installCommand, NODE_PACKAGE, parseBuildName, wheelSource } from './tensorflow/release.js';
import { npmPackageFolder, npmPackageVersion } from './tool.js';
import { WASM_PACKAGE } from './wasm/start.js';
import type { AdapterDescription } from './webgpu/adapters.js';
import { inspectPackage, WEBGPU_VERSION, webgpuFolder } from './webgpu/package.js';
import { preferredAdapter } from './webgpu/preference.js';
import { type WebgpuState, webgpuState } from './webgpu/status.js';

export interface EngineStatus {
  readonly name: EngineName;
  readonly available: boolean;
  /** Whether `auto` takes it (`autoEngine`). */
  readonly isDefault: boolean;
  /** The 16-bit float that it convolves faster than float32 on this machine; null if there is none, or the engine is not available. */
  readonly halfPrecision: 'fp16' | 'bf16' | null;
  /** One sentence: why it is or is not available. */
  readonly reason: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Folder of its library; null if not installed. */
  readonly path: string | null;
  /** What it could compute on; only of the webgpu engine. */
  readonly adapters?: readonly AdapterDescription[];
}

/** The engine with native code. */
export function nativeEngine(engines: readonly EngineStatus[]): EngineStatus {
  return engines.find(({ name }) => name === 'tensorflow')!;
}

/** The engine for GPUs of any make. */
export function webgpuEngine(engines: readonly EngineStatus[]): EngineStatus {
  return engines.find(({ name }) => name === 'webgpu')!;
}

type TensorflowState =
  | { readonly kind: 'ready'; readonly folder: string; readonly manifest: InstallManifest }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unusable'; readonly folder: string; readonly reason: string };

/** Whether the native engine can be started, by its files in the cache (`inspectInstall`); loads nothing. */
export async function tensorflowState(): Promise<TensorflowState> {
  const folder = await currentBuild();
  if (folder === null) return { kind: 'absent' };
  const state = await inspectInstall(folder, addonRecipe());
  switch (state.kind) {
    case 'complete':
      return { kind: 'ready', folder, manifest: state.manifest };
    case 'absent':
      return { kind: 'unusable', folder, reason: 'its addon has not been compiled for this version of fcn' };
    case 'damaged':
      return { kind: 'unusable', folder, reason: `it is damaged: ${state.reason}` };
  }
}

/** What may make an engine that cannot be started one that can: commands, and flags of the same command. */
export async function repairsOf(
  wanted: EngineName | 'auto',
): Promise<{ readonly commands: readonly string[]; readonly flags: readonly string[] }> {
  if (wanted !== 'webgpu') {
    const state = await tensorflowState();
    const command = state.kind === 'absent' ? 'fcn engines install' : installCommand(state.folder);
    return { commands: [command], flags: [] };
  }
  const { kind } = await inspectPackage(webgpuFolder());
  if (kind === 'absent') return { commands: ['fcn engines install --webgpu'], flags: [] };
  if (kind === 'damaged') return { commands: ['fcn engines install --webgpu --force'], flags: [] };
  const state = await webgpuState();
  const isSoftware = state.kind === 'unusable' && state.adapters.length > 0;
  return { commands: [], flags: isSoftware ? ['--allow-software-adapter'] : [] };
}

/** All engines. Loads nothing heavy: at most the drivers of GPUs, if the webgpu engine is installed. */
export async function engineStatus(): Promise<EngineStatus[]> {
  const [tensorflow, webgpu] = await Promise.all([tensorflowState(), webgpuState()]);
  const chosen = (await chosenByAuto(tensorflow, async () => webgpu)).name;
  const engines = [await tensorflowStatus(tensorflow), webgpuStatus(webgpu), wasmStatus()];
  return engines.map((engine) => ({ ...engine, isDefault: engine.name === chosen }));
}

/** Why `auto` takes the engine that it takes, as a part of a sentence. */
export async function reasonOfAuto(): Promise<string> {
  return (await chosenByAuto(await tensorflowState(), webgpuState)).reason;
}

/** @param webgpu Asked only if it matters: it loads drivers. */
async function chosenByAuto(tensorflow: TensorflowState, webgpu: () => Promise<WebgpuState>) {
  const isCuda = tensorflow.kind !== 'absent' && parseBuildName(path.basename(tensorflow.folder)).variant === 'gpu';
  const cuda = isCuda && (await listGpus()).length > 0;
  const state = cuda ? null : await webgpu();
  const gpu = state?.kind === 'ready' && !state.chosen.software ? state.chosen.name : null;
  return autoEngine({ tensorflow: tensorflow.kind !== 'absent', cuda, gpu });
}

/** The 16-bit float that a build uses on this machine: that of a GPU, if it can use one, else that of the CPU. */
async function halfPrecisionOf({ variant }: InstallManifest): Promise<'fp16' | 'bf16' | null> {
  if (variant === 'gpu' && (await listGpus()).length > 0) return 'fp16';
  return bfloat16Speed() === null ? null : 'bf16';
}

async function tensorflowStatus(state: TensorflowState): Promise<Omit<EngineStatus, 'isDefault'>> {
  const versions = { 'tfjs-node': npmPackageVersion(NODE_PACKAGE) };
  const unavailable = { name: 'tensorflow', available: false, halfPrecision: null, versions, path: null } as const;
  switch (state.kind) {
    case 'ready': {
      const { manifest, folder } = state;
      const build = manifest.variant === 'gpu' ? 'CUDA build' : 'CPU build';
      return {
        name: 'tensorflow',
        available: true,
        halfPrecision: await halfPrecisionOf(manifest),
        reason: `${build} of TensorFlow ${manifest.tensorflow}, installed ${manifest.installedAt.slice(0, 10)}.`,
        versions: { TensorFlow: manifest.tensorflow, ...versions },
        path: folder,
      };
    }
    case 'absent':
      return { ...unavailable, reason: 'Not installed. To install it: fcn engines install.' };
    case 'unusable':
      return {
        ...unavailable,
        reason: `Cannot be used: ${state.reason}. To fix it: ${installCommand(state.folder)}.`,
        path: state.folder,
      };
  }
}

function webgpuStatus(state: WebgpuState): Omit<EngineStatus, 'isDefault'> {
  const common = { name: 'webgpu', versions: { webgpu: WEBGPU_VERSION } } as const;
  const unavailable = { ...common, available: false, halfPrecision: null } as const;
  switch (state.kind) {
    case 'ready': {
      const { chosen, folder, adapters } = state;
      const halfPrecision = chosen.features.includes('shader-f16') ? 'fp16' : null;
      const on = chosen.software ? `${chosen.name}, which computes on the processor` : chosen.name;
      return { ...common, available: true, halfPrecision, reason: `On ${on}.`, path: folder, adapters };
    }
    case 'absent':
      return {
        ...unavailable,
        reason: 'Not installed. For a GPU of any make: fcn engines install --webgpu.',
        path: null,
        adapters: [],
      };
    case 'unusable': {
      const { reason, next, folder, adapters } = state;
      return { ...unavailable, reason: `Cannot be used: ${reason}. ${next}`, path: folder, adapters };
    }
  }
}

function wasmStatus(): Omit<EngineStatus, 'isDefault'> {
  return {
    name: 'wasm',
    available: true,
    halfPrecision: null,
    reason: 'Part of this package: WebAssembly, no native code; one thread, several to predict.',
    versions: { 'tfjs-backend-wasm': npmPackageVersion(WASM_PACKAGE) },
    path: npmPackageFolder(WASM_PACKAGE),
  };
}

/** What this machine lacks to install the native engine, a sentence each. Runs the tools to find out. */
export async function missingForTensorflow(): Promise<string[]> {
  const checks = [async () => wheelSource('cpu'), checkAddons];
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

/** @throws EngineUnavailableError if the addons of the tested release must be compiled, and there is no compiler. */
async function checkAddons(): Promise<void> {
  // Every thread with an engine imports this file: what only this needs takes a fifteenth of a second.
  const { BUNDLED_FOR, bundleFolder, readBundle, whyUnfit } = await import('./tensorflow/prepare-addons.js');
  const why = whyUnfit(await readBundle(bundleFolder()), BUNDLED_FOR);
  if (why !== null) await findCompiler(why);
}

let started: { readonly name: EngineName; readonly engine: Promise<Engine> } | null = null;

export interface StartOptions {
  readonly engine?: EngineName | 'auto';
  /** Compute the same bits in every run on GPUs, too, which is slower; CPUs always do. */
  readonly deterministic?: boolean;
  /** Default: fast, as far as the engine is. */
  readonly convolution?: ConvolutionMode;
}

/**
 * Starts an engine, by default `autoEngine`. TensorFlow.js has one backend per process, so each process has one engine: later calls
 * return the same. So it is in a worker thread, whose TensorFlow.js is its own.
 * @throws UserError if the engine is unknown, not installed or damaged; Error if another one is running already.
 */
export async function startEngine(options: StartOptions = {}): Promise<Engine> {
  const { engine: wanted = 'auto', deterministic = false, convolution = 'fast' } = options;
  if (wanted !== 'auto' && !ENGINE_NAMES.includes(wanted)) {
    throw new UserError(`Unknown engine "${wanted}": expected auto, ${ENGINE_NAMES.join(', ')}.`);
  }
  if (started === null) {
    const name = wanted === 'auto' ? (await chosenByAuto(await tensorflowState(), webgpuState)).name : wanted;
    started ??= { name, engine: start(name, deterministic, convolution) };
  }
  if (wanted !== 'auto' && wanted !== started.name) {
    throw new Error(`The ${started.name} engine is running: the ${wanted} engine needs a process of its own.`);
  }
  const engine = await started.engine;
  if (deterministic && !engine.deterministic) {
    throw new Error(`The ${engine.name} engine is running: a deterministic one needs a process of its own.`);
  }
  if (convolution === 'direct' && engine.convolution !== 'direct') {
    throw new Error(
      `The ${engine.name} engine is running with fast convolutions: direct ones need a process of its own.`,
    );
  }
  return engine;
}

/** A failed start does not count as the running engine. */
async function start(name: EngineName, deterministic: boolean, convolution: ConvolutionMode): Promise<Engine> {
  try {
    switch (name) {
      case 'wasm':
        return await (await import('./wasm/start.js')).startWasm();
      case 'webgpu':
        return await startInstalledWebgpu();
      case 'tensorflow':
        return await startInstalled(deterministic, convolution);
    }
  } catch (error) {
    started = null;
    throw error;
  }
}

async function startInstalledWebgpu(): Promise<Engine> {
  const installed = await inspectPackage(webgpuFolder());
  switch (installed.kind) {
    case 'complete':
      return (await import('./webgpu/start.js')).startWebgpu(installed.folder, preferredAdapter());
    case 'absent':
      throw new UserError(
        'The webgpu engine is not installed.',
        'Install it with fcn engines install --webgpu, or use another engine (--engine tensorflow or --engine wasm).',
      );
    case 'damaged':
      throw new UserError(
        `The webgpu engine in ${installed.folder} is damaged: ${installed.reason}.`,
        'Repair it with fcn engines install --webgpu --force.',
      );
  }
}

async function startInstalled(deterministic: boolean, convolution: ConvolutionMode): Promise<Engine> {
  const state = await tensorflowState();
  switch (state.kind) {
    case 'ready':
      return (await import('./tensorflow/start.js')).startTensorflow(state.folder, deterministic, convolution);
    case 'absent':
      throw new UserError(
        'The tensorflow engine is not installed.',
        'Install it with fcn engines install, or use --engine wasm.',
      );
    case 'unusable':
      throw new UserError(
        `The tensorflow engine in ${state.folder} cannot be used: ${state.reason}.`,
        `Fix it with ${installCommand(state.folder)}, or use --engine wasm.`,
      );
  }
}
