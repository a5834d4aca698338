import test, { type ExecutionContext } from 'ava';
import type { Engine, EngineName } from '../../src/engines/engine.js';
import { engineStatus, startEngine } from '../../src/engines/selection.js';
import { preferAdapter } from '../../src/engines/webgpu/preference.js';

// Where there is no GPU, the webgpu engine is tested on an adapter that computes on the processor (ava.config.mjs).
preferAdapter({ allowSoftware: true });

const statuses = await engineStatus();

/** Whether an engine can be started on this machine; wasm always can. webgpu needs its package and an adapter. */
export function hasEngine(name: EngineName): boolean {
  return statuses.some((status) => status.name === name && status.available);
}

/** The 16-bit float that an engine convolves here; null where it has none, or is not installed. */
export function halfPrecisionOf(name: EngineName): 'fp16' | 'bf16' | null {
  return statuses.find((status) => status.name === name && status.available)?.halfPrecision ?? null;
}

export const halfPrecision = halfPrecisionOf('tensorflow');

/**
 * Starts an engine that is there (`hasEngine`). One engine a process: a test file that needs both starts the other in a process of
 * its own.
 */
export function startTestEngine(name: EngineName): Promise<Engine> {
  return startEngine({ engine: name });
}

/** Gives what declares tests on an engine, one after the other. Where it is not installed, or not `possible`, they are skipped. */
export function withEngine(name: EngineName, possible = true) {
  const declare = hasEngine(name) && possible ? test.serial : test.serial.skip;
  return (title: string, body: (t: ExecutionContext, engine: Engine) => Promise<void>): void =>
    declare(title, async (t) => body(t, await startTestEngine(name)));
}
