import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { EngineUnavailableError } from '../unavailable.js';
import { BINDING_FILE, HOST_FILE } from './addon.js';
import { prepareEnvironment } from './environment.js';

/** Loads both addons in a process of its own, so that a library that ends the process does not end this one. */
const PROGRAM = `
const [binding, host] = process.argv.slice(1);
require(host);
process.stdout.write(require(binding).TF_Version);
`;

/**
 * Checks that a build loads on this machine and is the release that it should be.
 * @throws EngineUnavailableError where the processor lacks instructions that the library uses; UserError otherwise.
 */
export async function checkBuild(folder: string, version: string, signal?: AbortSignal): Promise<void> {
  const environment: NodeJS.ProcessEnv = {};
  prepareEnvironment(environment);
  const { execa } = await import('execa');
  const result = await execa(
    process.execPath,
    ['-e', PROGRAM, path.join(folder, BINDING_FILE), path.join(folder, HOST_FILE)],
    { reject: false, stdin: 'ignore', env: environment, ...(signal ? { cancelSignal: signal } : {}) },
  );
  signal?.throwIfAborted();
  if (result.signal === 'SIGILL') {
    throw new EngineUnavailableError(
      'platform',
      'The processor lacks instructions that the TensorFlow library needs (AVX).',
    );
  }
  if (result.exitCode !== 0) {
    const reason = /^Error: .*$/m.exec(result.stderr)?.[0] ?? result.stderr.trim().split('\n').at(-1) ?? '';
    throw new UserError(`The TensorFlow library does not load: ${reason}`, 'Try another release with --tensorflow.');
  }
  if (result.stdout.trim() !== version) {
    throw new UserError(`The library is TensorFlow ${result.stdout.trim()}, ${version} was expected.`);
  }
}
