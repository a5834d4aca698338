import type { Engine, EngineName } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/start.js';
import { engineStatus } from '../../src/engines/status.js';

/** The engines that can be started on this machine; wasm always is among them. */
export async function availableEngines(): Promise<EngineName[]> {
  return (await engineStatus()).filter((status) => status.available).map((status) => status.name);
}

/**
 * Starts an engine for a test; null where it is not installed: log that and pass. One engine a process: a test file that
 * needs both starts the other in a process of its own.
 */
export async function startTestEngine(name: EngineName): Promise<Engine | null> {
  return (await availableEngines()).includes(name) ? startEngine({ engine: name }) : null;
}
