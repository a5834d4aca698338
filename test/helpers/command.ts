import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Working folder. */
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Told the process as soon as it is there. */
  readonly onStart?: (process: ChildProcess) => void;
}

/** Runs the real command in a process of its own, without the caller's FCN_ settings. */
export function fcn(parameters: readonly string[], { cwd, env, onStart }: CommandOptions): Promise<CommandResult> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FCN_|FORCE_COLOR)/.test(name));
  const child = spawn(process.execPath, [path.join(packageRoot(), 'bin', 'run.js'), ...parameters], {
    cwd,
    env: { ...Object.fromEntries(inherited), NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onStart?.(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
