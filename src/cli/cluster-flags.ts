import * as Flags from '@oclif/core/flags';
import type { ClusterInput } from '../jobs/cluster-options.js';
import { repeatable } from './flags.js';

const ofCluster = { dependsOn: ['executor'], helpGroup: 'CLUSTER' };

/** What a job asks of a cluster. `src/jobs/cluster-options.ts` checks the values, and those of a cluster file in the same way. */
export const clusterFlags = {
  cluster: Flags.string({
    summary: 'YAML file with what the job asks of the cluster; flags replace its values (fcn schema cluster).',
    env: 'FCN_CLUSTER',
    helpValue: 'FILE.yaml',
    helpGroup: 'CLUSTER',
  }),
  time: Flags.string({
    summary: 'Time limit of one start of a task, as Slurm writes it; a task that is not done then is resumed.',
    helpValue: '24:00:00',
    ...ofCluster,
  }),
  partition: Flags.string({ summary: 'Partition.', helpValue: 'NAME', ...ofCluster }),
  account: Flags.string({ summary: 'Account that is charged.', helpValue: 'NAME', ...ofCluster }),
  qos: Flags.string({ summary: 'Quality of service.', helpValue: 'NAME', ...ofCluster }),
  constraint: Flags.string({ summary: 'Features that nodes must have.', helpValue: 'FEATURES', ...ofCluster }),
  cpus: Flags.integer({
    summary: 'Processors of a task, or of each of its processes, and threads of TensorFlow. Default: 1.',
    helpValue: 'N',
    ...ofCluster,
  }),
  mem: Flags.string({ summary: 'Main memory of a task.', helpValue: '32G', ...ofCluster }),
  gpus: Flags.string({ summary: 'GPUs of a task; fcn uses one. Default: none.', helpValue: '[TYPE:]N', ...ofCluster }),
  nodes: Flags.integer({
    summary: 'Nodes of a task, among which its processes are divided; see --processes, default: one a node.',
    helpValue: 'N',
    ...ofCluster,
  }),
  sbatch: Flags.string({
    summary: 'Another option of sbatch, as in --sbatch=--exclude=node7; may be given several times.',
    helpValue: 'OPTION',
    ...repeatable,
    ...ofCluster,
  }),
};

/** Parsed flags of a command that has them. */
export type ClusterFlags = Readonly<Record<string, unknown>> & {
  readonly cluster?: string | undefined;
  readonly 'max-parallel'?: number | undefined;
};

/** What the flags ask for; undefined for those that are not given. */
export function clusterInput({ cluster: _, 'max-parallel': maxParallel, ...flags }: ClusterFlags): ClusterInput {
  const given = Object.entries(flags).filter(([name, value]) => name in clusterFlags && value !== undefined);
  return { ...Object.fromEntries(given), ...(maxParallel !== undefined && { maxParallel }) };
}
