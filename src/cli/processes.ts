import { type StartOptions, startEngine } from '../engines/selection.js';
import { LostProcessError, processName } from '../parallel/errors.js';
import { launchHere } from '../parallel/launch.js';
import { type Launched, launchedBy } from '../parallel/launched.js';
import { reportToLauncher } from '../parallel/launcher-files.js';
import { ProcessGroup } from '../parallel/process-group.js';
import type { Processes } from '../parallel/processes.js';
import { launchBySrun } from '../parallel/srun.js';
import { type EndOrder, followOrders } from '../runs/follow.js';
import { ExitCode, type InterruptedError, UserError } from '../support/errors.js';
import { explainError } from './base.js';

interface JoinOptions {
  readonly engine: StartOptions;
  /** --processes. */
  readonly wanted: number | undefined;
  /** --srun-mpi: the plugin of srun, which starts them; undefined: mpirun does, on this machine. */
  readonly srunPlugin: string | undefined;
  readonly halves: boolean;
  readonly alone: boolean;
  readonly interruptSignal: () => AbortSignal;
}

interface Joined {
  readonly processes: Processes | undefined;
  /** Ends the others; called once, at the end. @param error With which the command ends; null if it does not. */
  readonly leave: (error: unknown) => void;
}

/** Milliseconds in which process 0 saves, while those that must end wait. */
const FAREWELL = 20_000;

/**
 * Finds out which process of how many this one is, and connects it with the others. Starts them if nobody has. Ends this process if it
 * only starts others, or follows process 0.
 * @throws UserError if --processes contradicts the launcher, or there is no engine or no MPI for several processes.
 */
export async function joinProcesses(options: JoinOptions): Promise<Joined> {
  const { wanted, srunPlugin, halves, alone } = options;
  const launched = launchedBy();
  if (launched !== null && wanted !== undefined && wanted !== launched.size) {
    throw new UserError(
      `--processes ${wanted}, but the launcher has started ${launched.size}.`,
      'Leave out --processes where mpirun or srun starts the processes.',
    );
  }
  const count = launched?.size ?? wanted ?? 1;
  if (count === 1 || alone) {
    if ((launched?.rank ?? 0) > 0) process.exit(ExitCode.success);
    if (launched !== null) reportToLauncher(0, endGently);
    return { processes: { count, here: count, group: null, halves }, leave: () => {} };
  }
  if (launched === null) {
    process.exit(await (srunPlugin === undefined ? launchHere(count) : launchBySrun(count, srunPlugin)));
  }
  return launched.rank === 0 ? lead(options, launched) : endAfter(() => followAs(options, launched), launched);
}

/** As if somebody had asked for it. */
const endGently = () => process.kill(process.pid, 'SIGTERM');

async function startGroup({ engine: options, halves }: JoinOptions, { size }: Launched): Promise<ProcessGroup> {
  return ProcessGroup.start({ engine: await startEngine(options), size, halves });
}

/** In process 0. */
async function lead(options: JoinOptions, launched: Launched): Promise<Joined> {
  const group = await startGroup(options, launched).catch((error: unknown) => {
    // The launcher hears the exit code of this mistake.
    reportToLauncher(0, endGently);
    throw error;
  });
  reportToLauncher(0, endGently);
  const leave = (error: unknown) => {
    const code = Number(process.exitCode ?? 0);
    if (error === null) group.sendAll({ kind: 'end', code } satisfies EndOrder as EndOrder);
    else group.tellFailure(error);
    group.stop(error === null);
  };
  const { size: count, here } = group;
  return { processes: { count, here, group, halves: options.halves }, leave };
}

/** In the others: follows process 0. @returns the exit code. */
async function followAs(options: JoinOptions, launched: Launched): Promise<number> {
  // What there is to say, process 0 says.
  process.env['FCN_QUIET'] = '1';
  const signal = options.interruptSignal();
  process.on('SIGUSR1', () => undefined);
  reportToLauncher(launched.rank, () => {});
  const group = await startGroup(options, launched);
  signal.addEventListener('abort', () => group.askToStop(signal.reason as InterruptedError));
  try {
    const code = await followOrders(await startEngine(options.engine), {
      count: group.size,
      here: group.here,
      group,
      halves: options.halves,
    });
    group.stop(true);
    return code;
  } catch (error) {
    group.tellFailure(error);
    // A launcher may end all when one process ends: not before process 0 has saved.
    await group.farewell(FAREWELL);
    group.stop(false);
    throw error;
  }
}

/** Ends this process with the exit code of `work`, and names the process in what it says of an error of its own. */
async function endAfter(work: () => Promise<number>, { rank, size }: Launched): Promise<never> {
  let code: number;
  try {
    code = await work();
  } catch (error) {
    const report = explainError(error);
    code = report.code;
    if (!(error instanceof LostProcessError)) {
      process.stderr.write(`${processName(rank, size)}: ${report.stack ?? report.message}\n`);
    }
  }
  process.exit(code);
}
