import { UserError } from '../support/errors.js';
import { launch } from './launch.js';
import { isInStep } from './launched.js';

/**
 * Seconds that srun leaves the other processes after the first one has ended: they wait for process 0 to save. Then it ends those that
 * hang.
 */
const LAST_SECONDS = 180;

/**
 * The arguments of srun that start a command as the processes of a run, in an allocation with so many tasks.
 * @param plugin By which the processes find each other; see `fittingPlugin`.
 */
export function srunParameters(processes: number, plugin: string, environment: NodeJS.ProcessEnv): string[] {
  const { SLURM_CPUS_PER_TASK: cpus } = environment;
  return [
    `--mpi=${plugin}`,
    `--ntasks=${processes}`,
    // Since version 22.05, a step does not inherit it.
    ...(cpus === undefined ? [] : [`--cpus-per-task=${cpus}`]),
    // Process 0 stands beside its launcher, on the first node.
    '--distribution=block',
    // If one ends, the others must still save; they find out by themselves.
    ...['--kill-on-bad-exit=0', `--wait=${LAST_SECONDS}`],
    ...['--input=none', '--export=ALL'],
  ];
}

/**
 * Runs this command again as several processes on the nodes of an allocation of Slurm, in whose batch script this process is.
 * @returns the exit code of process 0.
 * @throws UserError outside an allocation, or if the plugin does not tell processes which they are; LostProcessError if process 0 was
 * killed: srun kills all processes at once if it gets a SIGTERM itself.
 */
export async function launchBySrun(processes: number, plugin: string): Promise<number> {
  if (process.env['SLURM_JOB_ID'] === undefined) {
    throw new UserError('srun starts processes only in a job of Slurm.', 'Leave out --srun-mpi.');
  }
  if (isInStep(process.env)) {
    throw new UserError(
      `srun --mpi=${plugin} has started this process, but not told which of how many it is.`,
      'Choose another plugin of srun --mpi=list: mpi in the cluster file.',
    );
  }
  return launch({
    program: 'srun',
    parameters: [
      ...srunParameters(processes, plugin, process.env),
      process.execPath,
      ...process.execArgv,
      ...process.argv.slice(1),
    ],
    // Open MPI: to read another process's memory would end this one if that is gone.
    environment: {
      OMPI_MCA_btl_vader_single_copy_mechanism: process.env['OMPI_MCA_btl_vader_single_copy_mechanism'] ?? 'none',
    },
    // srun ends what is left.
    onStart: () => () => {},
  });
}
