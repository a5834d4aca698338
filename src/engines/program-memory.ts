import type { EngineName } from './engine.js';

const MB = 2 ** 20;

/** What an engine's process takes beside images and tensors. */
interface ProgramMemory {
  /** Bytes of Node, this program and the engine's libraries. */
  readonly bytes: number;
  /** Parts of the weights' bytes: the arrays in which JavaScript read or drew them and has not freed them yet, and oneDNN's copies. */
  readonly weightsInTraining: number;
  readonly weightsInInference: number;
}

const PROCESS: Readonly<Record<EngineName, ProgramMemory>> = {
  tensorflow: { bytes: 210 * MB, weightsInTraining: 1.2, weightsInInference: 0.95 },
  // On a software adapter, with the programs that it has compiled.
  webgpu: { bytes: 340 * MB, weightsInTraining: 0.5, weightsInInference: 0.3 },
  wasm: { bytes: 130 * MB, weightsInTraining: 0.5, weightsInInference: 0.3 },
};

/** Measured on Linux x64 (docs/measuring.md, "Memory before a run"). */
export function programMemory(name: EngineName): ProgramMemory {
  return PROCESS[name];
}
