import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { EngineUnavailableError } from '../unavailable.js';
import { addonFolder, BINDING_FILE, HOST_FILE, OPERATIONS_FILE } from './addon.js';
import { prepareEnvironment } from './environment.js';

/** Loads the addons in a process of its own, so that a library that ends the process does not end this one. */
const PROGRAM = `
const [binding, host, operations] = process.argv.slice(1);
require(host);
const { TF_Version } = require(binding);
require(operations);
process.stdout.write(TF_Version);
`;

/**
 * Checks that a build loads on this machine and is the release that it should be.
 * @throws EngineUnavailableError where the processor lacks instructions that the library uses; UserError otherwise.
 */
export async function checkBuild(folder: string, version: string, signal?: AbortSignal): Promise<void> {
  const environment: NodeJS.ProcessEnv = {};
  prepareEnvironment(false, environment);
  const { execa } = await import('execa');
  const result = await execa(
    process.execPath,
    [
      '-e',
      PROGRAM,
      ...[BINDING_FILE, HOST_FILE, OPERATIONS_FILE].map((name) => path.join(folder, addonFolder(), name)),
    ],
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
