import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type InstalledMpi, requireMpi } from '../engines/mpi/manifest.js';
import { runTool } from '../engines/tool.js';
import { ExitCode, UserError } from '../support/errors.js';
import { threadsOfEach } from './launched.js';
import { EXIT_CODE_FILE, LAUNCH_FOLDER, LAUNCHER, PROCESS_FILE } from './launcher-files.js';

type LauncherKind = 'Open MPI' | 'MPICH';

/** An mpirun, and its options for processes on this machine. */
interface Mpirun {
  readonly program: string;
  readonly options: (processes: number) => string[];
}

/** Milliseconds that a process has after SIGTERM, before mpirun kills it. */
const GRACE_SECONDS = 30;

const OPTIONS: Readonly<Record<LauncherKind, (processes: number) => string[]>> = {
  'Open MPI': (processes) => [
    ...['-n', `${processes}`, '--oversubscribe', '--bind-to', 'none', '-q'],
    ...(process.getuid?.() === 0 ? ['--allow-run-as-root'] : []),
    // If a process ends, the others must still save; they find out by themselves.
    ...['--mca', 'orte_enable_recovery', '1', '--mca', 'orte_abort_on_non_zero_status', '0'],
    ...['--mca', 'odls_base_sigkill_timeout', `${GRACE_SECONDS}`],
    // On one machine, shared memory is enough.
    ...['--mca', 'btl', '^tcp,openib'],
  ],
  MPICH: (processes) => ['-disable-auto-cleanup', '-n', `${processes}`],
};

/**
 * Runs this command again as several processes on this machine, by the mpirun of the MPI for which operations are compiled. Nothing
 * of it listens on an address that other machines reach. Signals are passed on to process 0, which stops all.
 * @returns the exit code of process 0.
 * @throws UserError if there are no operations for MPI, or no mpirun.
 */
export async function launchHere(processes: number): Promise<number> {
  const mpi = await requireMpi();
  const { program, options } = await findMpirun(mpi);
  const folder = await mkdtemp(path.join(tmpdir(), 'fcn-processes-'));
  try {
    const child = spawn(
      program,
      [...options(processes), process.execPath, ...process.execArgv, ...process.argv.slice(1)],
      {
        stdio: 'inherit',
        // Ctrl-C in a terminal would reach mpirun, too, which then kills all without letting them save.
        detached: true,
        env: {
          ...process.env,
          TF_NUM_INTRAOP_THREADS: process.env['TF_NUM_INTRAOP_THREADS'] ?? `${threadsOfEach(processes)}`,
          LD_PRELOAD: [mpi.loopback, process.env['LD_PRELOAD'] ?? ''].filter((file) => file !== '').join(':'),
          [LAUNCH_FOLDER]: folder,
          [LAUNCHER]: `${process.pid}`,
        },
      },
    );
    const stopForwarding = forwardSignals(folder);
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => resolve(status ?? ExitCode.bug));
    }).finally(stopForwarding);
    return (await exitCodeOfFirst(folder)) ?? (code === 0 ? ExitCode.tryAgain : code);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function findMpirun({ compiler, library }: InstalledMpi): Promise<Mpirun> {
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

/** Passes signals on to process 0. @returns what ends that. */
function forwardSignals(folder: string): () => void {
  const forward = (signal: NodeJS.Signals) => {
    readFile(path.join(folder, PROCESS_FILE), 'utf8')
      .then((id) => process.kill(Number(id), signal))
      .catch((error: NodeJS.ErrnoException) => {
        // It has not begun yet, or has ended.
        if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error;
      });
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  return () => {
    for (const signal of FORWARDED) process.off(signal, forward);
  };
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
