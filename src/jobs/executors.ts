import type { Executor } from './executor.js';
import type { ExecutorName } from './job.js';
import { kubernetesExecutor } from './kubernetes/executor.js';
import { localExecutor } from './local/executor.js';
import { slurmExecutor } from './slurm/executor.js';

const EXECUTORS: Readonly<Record<ExecutorName, Executor>> = {
  local: localExecutor,
  slurm: slurmExecutor,
  kubernetes: kubernetesExecutor,
};

/** The executor of a name. */
export function executorOf(name: ExecutorName): Executor {
  return EXECUTORS[name];
}
