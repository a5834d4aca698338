import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

export interface CommandResult {
  /** The exit code; null if a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command while it runs. */
export interface RunningCommand {
  /** null until it has ended. */
  readonly exitCode: number | null;
  kill(signal: NodeJS.Signals): boolean;
}

interface Options<Running> {
  /** Working folder. */
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Called as soon as the command runs. */
  readonly onStart?: (command: Running) => void;
}

/** The environment of a command: that of the caller without its FCN_ settings, and no colours. */
function environment(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FCN_|FORCE_COLOR)/.test(name));
  return { ...Object.fromEntries(inherited), NO_COLOR: '1', ...env };
}

/** Runs the real command in a process of its own: for tests of signals, of kills, of what a process leaves, or of a second engine. */
export function fcnProcess(
  parameters: readonly string[],
  { cwd, env, onStart }: Options<ChildProcess>,
): Promise<CommandResult> {
  // With Node's arguments of this process (ava.config.mjs), which save as much there.
  const command = [...process.execArgv, path.join(packageRoot(), 'bin', 'run.js'), ...parameters];
  const child = spawn(process.execPath, command, {
    cwd,
    env: environment(env),
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

interface OptionsHere extends Options<RunningCommand> {
  /** Gets what the command writes to standard output, as it does. */
  readonly onOutput?: (text: string) => void;
}

let previous: Promise<unknown> = Promise.resolve();

/**
 * Runs the real command in this process, all that `bin/run.js` runs, and captures its output: this saves half a second of loading.
 * Commands run one after another, because a process has one working folder and one environment. It has one engine, too.
 */
export function fcn(parameters: readonly string[], options: OptionsHere): Promise<CommandResult> {
  const result = previous.then(() => runHere(parameters, options));
  previous = result.catch(() => {});
  return result;
}

async function runHere(
  parameters: readonly string[],
  { cwd, env, onStart, onOutput }: OptionsHere,
): Promise<CommandResult> {
  const early = Object.keys(env ?? {}).filter((name) => name.startsWith('NODE_'));
  if (early.length > 0) throw new Error(`Node reads ${early.join()} when a process starts: use fcnProcess.`);
  const output = { stdout: '', stderr: '' };
  const before = { folder: process.cwd(), env: { ...process.env } };
  const releases = (['stdout', 'stderr'] as const).map((name) =>
    catchOutput(process[name], (text) => {
      output[name] += text;
      if (name === 'stdout') onOutput?.(text);
    }),
  );
  setEnvironment(environment(env));
  process.chdir(cwd);
  const command: { exitCode: number | null; kill: RunningCommand['kill'] } = {
    exitCode: null,
    // Calls the command's listeners; the process gets no signal.
    kill: (signal) => process.emit(signal, signal),
  };
  try {
    const { main } = await import('../../src/cli/main.js');
    onStart?.(command);
    await main([...parameters]);
    command.exitCode = Number(process.exitCode ?? 0);
    return { code: command.exitCode, ...output };
  } finally {
    command.exitCode ??= 1;
    process.exitCode = undefined;
    process.chdir(before.folder);
    setEnvironment(before.env);
    for (const release of releases) release();
  }
}

function setEnvironment(wanted: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (wanted[name] === undefined) delete process.env[name];
  Object.assign(process.env, wanted);
}

/** Passes what is written to a stream to `take`. The returned function ends this, and removes error listeners added since. */
function catchOutput(stream: NodeJS.WriteStream, take: (text: string) => void): () => void {
  const { write } = stream;
  const listeners = stream.listeners('error');
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    take(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
    const done = rest.find((one): one is () => void => typeof one === 'function');
    if (done !== undefined) process.nextTick(done);
    return true;
  };
  return () => {
    stream.write = write;
    for (const listener of stream.listeners('error')) {
      if (!listeners.includes(listener)) stream.off('error', listener as () => void);
    }
  };
}
