import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { packageRoot } from '../support/package.js';

interface ToolResult {
  readonly outcome: 'success' | 'failure' | 'absent';
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program and returns what it printed. An absent program is an outcome, not an error.
 * @throws the signal's reason on abort.
 */
export async function runTool(
  program: string,
  parameters: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly environment?: NodeJS.ProcessEnv } = {},
): Promise<ToolResult> {
  const { execa } = await import('execa');
  const result = await execa(program, parameters, {
    reject: false,
    stdin: 'ignore',
    ...(options.signal ? { cancelSignal: options.signal } : {}),
    ...(options.environment ? { env: options.environment } : {}),
  });
  options.signal?.throwIfAborted();
  const outcome =
    result.exitCode === 0 ? 'success' : result.code === 'ENOENT' || result.code === 'EACCES' ? 'absent' : 'failure';
  return { outcome, stdout: result.stdout, stderr: result.stderr };
}

/**
 * Node's `require`, relative to this package, for the CommonJS packages of TensorFlow.js: each must be loaded only once per process.
 */
export function packageRequire(): NodeJS.Require {
  return createRequire(path.join(packageRoot(), 'package.json'));
}

/** Folder of an npm package that this package depends on. */
export function npmPackageFolder(name: string): string {
  return path.dirname(packageRequire().resolve(`${name}/package.json`));
}

export function npmPackageVersion(name: string): string {
  const text = readFileSync(path.join(npmPackageFolder(name), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
