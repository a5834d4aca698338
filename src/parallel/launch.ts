import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type InstalledMpi, requireMpi } from '../engines/mpi/manifest.js';
import { runTool } from '../engines/tool.js';
import { ExitCode, UserError } from '../support/errors.js';
import { LostProcessError } from './errors.js';
import { threadsOfEach } from './launched.js';
import { EXIT_CODE_FILE, LAUNCH_FOLDER, LAUNCHER, processFile } from './launcher-files.js';

type LauncherKind = 'Open MPI' | 'MPICH';

/** An mpirun, and its options for processes on this machine. */
interface Mpirun {
  readonly program: string;
  readonly options: (processes: number) => string[];
}

/** Time between two looks at what is left, and looks after process 0 has ended until the rest is killed. */
const SWEEP_MILLISECONDS = 500;
const SWEEP_AFTER = 4;

/** Seconds that a process has after SIGTERM, before mpirun kills it. */
const GRACE_SECONDS = 30;

const OPTIONS: Readonly<Record<LauncherKind, (processes: number) => string[]>> = {
  'Open MPI': (processes) => [
    ...['-n', `${processes}`, '--oversubscribe', '--bind-to', 'none', '-q'],
    ...(process.getuid?.() === 0 ? ['--allow-run-as-root'] : []),
    // If a process ends, the others must still save; they find out by themselves.
    ...['--mca', 'orte_enable_recovery', '1', '--mca', 'orte_abort_on_non_zero_status', '0'],
    ...['--mca', 'odls_base_sigkill_timeout', `${GRACE_SECONDS}`],
    // On one machine, shared memory is enough; to read another process's memory would end this one if that is gone.
    ...['--mca', 'btl_vader_single_copy_mechanism', 'none'],
    ...['--mca', 'pml', 'ob1', '--mca', 'btl', 'self,vader'],
  ],
  MPICH: (processes) => ['-disable-auto-cleanup', '-n', `${processes}`],
};

interface Launch {
  /** The program and its arguments; default: this command. */
  readonly words?: readonly string[];
  /** Added to that of this process. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** A program that starts processes, and its arguments, the words of their command included. */
interface Launcher {
  readonly program: string;
  readonly parameters: readonly string[];
  /** Added to the environment of this process. */
  readonly environment: NodeJS.ProcessEnv;
  /** Called once it is started, with the folder of `launcher-files.ts`. @returns what ends that. */
  readonly onStart: (folder: string) => () => void;
}

/**
 * Runs this command again as several processes on this machine, by the mpirun of the MPI for which operations are compiled. Nothing
 * of it listens on an address that other machines reach. Signals are passed on to process 0, which stops all.
 * @returns the exit code of process 0.
 * @throws UserError if there are no operations for MPI, or no mpirun; LostProcessError if process 0 was killed.
 */
export async function launchHere(
  processes: number,
  { words = process.argv.slice(1), environment = {} }: Launch = {},
): Promise<number> {
  const mpi = await requireMpi();
  const { program, options } = await findMpirun(mpi);
  return launch({
    program,
    parameters: [...options(processes), process.execPath, ...process.execArgv, ...words],
    environment: {
      ...environment,
      TF_NUM_INTRAOP_THREADS: process.env['TF_NUM_INTRAOP_THREADS'] ?? `${threadsOfEach(processes)}`,
      LD_PRELOAD: [mpi.loopback, process.env['LD_PRELOAD'] ?? ''].filter((file) => file !== '').join(':'),
      // UCX, which some MPIs use: no sockets; nor reading another process's memory, which ends this one if that is gone.
      UCX_TLS: process.env['UCX_TLS'] ?? 'self,posix,sysv',
    },
    onStart: (folder) => sweepAfterFirst(folder, processes),
  });
}

/**
 * Starts processes, and passes signals on to process 0, which must be on this machine.
 * @returns the exit code of process 0.
 * @throws LostProcessError if it was killed.
 */
export async function launch({ program, parameters, environment, onStart }: Launcher): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fcn-processes-'));
  try {
    const child = spawn(program, parameters, {
      stdio: 'inherit',
      // Ctrl-C in a terminal would reach the launcher, too, which then kills all without letting them save.
      detached: true,
      env: { ...process.env, ...environment, [LAUNCH_FOLDER]: folder, [LAUNCHER]: `${process.pid}` },
    });
    const stopForwarding = forwardSignals(folder);
    const stop = onStart(folder);
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => resolve(status ?? ExitCode.bug));
    }).finally(() => {
      stopForwarding();
      stop();
    });
    const ofFirst = await exitCodeOfFirst(folder);
    if (ofFirst !== null) return ofFirst;
    throw new LostProcessError(
      `${program} has ended with exit code ${code}, and process 0 could not save: the same command resumes a run from its last checkpoint.`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The mpirun of the MPI for which operations are compiled. @throws UserError if there is none. */
export async function findMpirun({ compiler, library }: InstalledMpi): Promise<Mpirun> {
  const kind: LauncherKind = /open mpi/i.test(library) ? 'Open MPI' : 'MPICH';
  const beside = path.join(path.dirname(compiler), path.basename(compiler).replace(/mpi(cxx|c\+\+|CC)/, 'mpirun'));
  const candidates = [...new Set([beside, 'mpirun', 'mpiexec'])];
  for (const program of candidates) {
    const { outcome, stdout } = await runTool(program, ['--version']);
    if (outcome === 'success' && (kind === 'Open MPI') === /open.?(mpi|rte)/i.test(stdout)) {
      return { program, options: OPTIONS[kind] };
    }
  }
  throw new UserError(
    `No mpirun of ${library}: none of ${candidates.join(', ')} is it.`,
    'Put it into PATH, or run fcn engines install --mpi --mpicxx PATH for the MPI to which your mpirun belongs.',
  );
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGUSR1'] as const;

/**
 * Passes signals on to process 0; one that comes before it has begun, once it has. If a process of fcn has started this one and ends, that
 * is as a SIGTERM. @returns what ends that.
 */
function forwardSignals(folder: string): () => void {
  let isOver = false;
  const forward = async (signal: NodeJS.Signals) => {
    while (!isOver && !(await signalProcess(folder, 0, signal))) await sleep(SWEEP_MILLISECONDS);
  };
  const onParentEnd = () => void forward('SIGTERM');
  for (const signal of FORWARDED) process.on(signal, forward);
  process.on('disconnect', onParentEnd);
  return () => {
    isOver = true;
    for (const signal of FORWARDED) process.off(signal, forward);
    process.off('disconnect', onParentEnd);
  };
}

/** Sends a signal to a process, if it is still there. @returns false if it has not begun yet. */
async function signalProcess(folder: string, rank: number, signal: NodeJS.Signals): Promise<boolean> {
  try {
    process.kill(Number(await readFile(path.join(folder, processFile(rank)), 'utf8')), signal);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
    return code === 'ESRCH';
  }
}

/**
 * Kills what is still there some time after process 0 has ended: a process that hangs would keep mpirun, too.
 * @returns what ends that.
 */
function sweepAfterFirst(folder: string, processes: number): () => void {
  let seen = 0;
  const timer = setInterval(async () => {
    if ((await exitCodeOfFirst(folder)) === null) return;
    if (++seen < SWEEP_AFTER) return;
    for (let rank = 0; rank < processes; rank++) await signalProcess(folder, rank, 'SIGKILL');
  }, SWEEP_MILLISECONDS);
  return () => clearInterval(timer);
}

/** The exit code that process 0 left; null if it was killed. */
async function exitCodeOfFirst(folder: string): Promise<number | null> {
  try {
    return Number(await readFile(path.join(folder, EXIT_CODE_FILE), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
