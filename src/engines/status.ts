import type { EngineName } from './engine.js';
import { npmPackageFolder, npmPackageVersion } from './npm.js';
import { addonRecipe } from './tensorflow/addon.js';
import { currentBuild, installCommand, NODE_PACKAGE } from './tensorflow/location.js';
import { type InstallManifest, inspectInstall } from './tensorflow/manifest.js';
import { WASM_PACKAGE } from './wasm/start.js';

export interface EngineStatus {
  readonly name: EngineName;
  readonly available: boolean;
  /** Whether `auto` takes it. */
  readonly isDefault: boolean;
  /** One sentence: why it is or is not available. */
  readonly reason: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Folder of its library; null where there is none. */
  readonly path: string | null;
}

export type TensorflowState =
  | { readonly kind: 'ready'; readonly folder: string; readonly manifest: InstallManifest }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unusable'; readonly folder: string; readonly reason: string };

/** Whether the native engine can be started, from what lies in the cache folder; nothing is loaded. */
export async function tensorflowState(): Promise<TensorflowState> {
  const folder = await currentBuild();
  if (folder === null) return { kind: 'absent' };
  const state = await inspectInstall(folder);
  if (state.kind === 'absent') return { kind: 'unusable', folder, reason: 'its installation was broken off' };
  if (state.kind === 'damaged') return { kind: 'unusable', folder, reason: `it is damaged: ${state.reason}` };
  if (state.manifest.recipe !== addonRecipe()) {
    return { kind: 'unusable', folder, reason: 'its addon was compiled by another version of fcn' };
  }
  return { kind: 'ready', folder, manifest: state.manifest };
}

/** All engines, in the order in which `auto` prefers them. Loads nothing heavy. */
export async function engineStatus(): Promise<EngineStatus[]> {
  const tensorflow = await tensorflowState();
  return [tensorflowStatus(tensorflow), wasmStatus(tensorflow.kind === 'absent')];
}

function tensorflowStatus(state: TensorflowState): EngineStatus {
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
        reason: 'Not installed: fcn engines install sets it up.',
        versions: tfjsNode,
        path: null,
      };
    case 'unusable':
      return {
        name,
        available: false,
        isDefault: false,
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
    reason: 'Part of this package: WebAssembly, no native code, one thread.',
    versions: { 'tfjs-backend-wasm': npmPackageVersion(WASM_PACKAGE) },
    path: npmPackageFolder(WASM_PACKAGE),
  };
}
