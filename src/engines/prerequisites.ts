import { findCompiler } from './tensorflow/addon.js';
import { findPython } from './tensorflow/pip.js';
import { wheelSource } from './tensorflow/release.js';
import { EngineUnavailableError } from './unavailable.js';

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
