import { UserError } from '../support/errors.js';
import { ENGINE_NAMES, type Engine, type EngineName } from './engine.js';
import { tensorflowState } from './status.js';
import { installCommand } from './tensorflow/location.js';

let started: { readonly name: EngineName; readonly engine: Promise<Engine> } | null = null;

export interface StartOptions {
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
