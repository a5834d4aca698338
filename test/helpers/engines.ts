import test, { type ExecutionContext } from 'ava';
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

/** Gives what declares tests on an engine, one after the other. Where it is not installed, each says so and passes. */
export function withEngine(name: EngineName) {
  return (title: string, body: (t: ExecutionContext, engine: Engine) => Promise<void>): void =>
    test.serial(title, async (t) => {
      const engine = await startTestEngine(name);
      if (engine !== null) return body(t, engine);
      t.log(`Skipped: the ${name} engine is not installed; run fcn engines install.`);
      t.pass();
    });
}
