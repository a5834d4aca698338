import { availableProcessors } from '../support/available-processors.js';

/** What a launcher such as mpirun or srun says of a process that it has started. */
export interface Launched {
  readonly rank: number;
  readonly size: number;
}

/** Variables of the rank and the number of processes, by launcher. */
const LAUNCHERS = [
  // Open MPI's mpirun.
  ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'],
  // MPICH's mpirun, and those that come from it; srun --mpi=pmi2.
  ['PMI_RANK', 'PMI_SIZE'],
  // srun --mpi=pmix.
  ['PMIX_RANK', 'SLURM_STEP_NUM_TASKS'],
  ['PMIX_RANK', 'SLURM_NTASKS'],
] as const;

/** Whether, and as which of how many processes, an MPI launcher has started this process; null if none has. */
export function launchedBy(environment: NodeJS.ProcessEnv = process.env): Launched | null {
  for (const [ofRank, ofSize] of LAUNCHERS) {
    const [rank, size] = [environment[ofRank], environment[ofSize]];
    if (rank !== undefined && size !== undefined && /^\d+$/.test(rank) && /^\d+$/.test(size)) {
      return { rank: Number(rank), size: Number(size) };
    }
  }
  return null;
}

/** Whether srun has started this process, or a shell above it; the batch script of a job is no such step. */
export function isInStep(environment: NodeJS.ProcessEnv): boolean {
  return /^\d+$/.test(environment['SLURM_STEP_ID'] ?? '');
}

/** Whether srun has started this process as one of several of a run. */
export function startedBySrun(environment: NodeJS.ProcessEnv = process.env): boolean {
  const { OMPI_COMM_WORLD_RANK: ofMpirun } = environment;
  return isInStep(environment) && launchedBy(environment) !== null && ofMpirun === undefined;
}

/** Threads of each of several processes on one machine. */
export function threadsOfEach(processes: number): number {
  return Math.max(1, Math.floor(availableProcessors() / processes));
}

/** Threads on which this process's engine computes. TF_NUM_INTRAOP_THREADS limits them. */
export function computingThreads(environment: NodeJS.ProcessEnv = process.env): number {
  const limit = Number(environment['TF_NUM_INTRAOP_THREADS'] ?? 0);
  return limit > 0 ? Math.min(limit, availableProcessors()) : availableProcessors();
}
