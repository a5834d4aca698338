import path from 'node:path';
import { shellWords } from '../../support/format.js';
import { packageRoot } from '../../support/package.js';
import { type ClusterOptions, cpusOf, gpusOf } from '../cluster-options.js';
import { parseTimeLimit, warningSeconds } from './time-limit.js';

/** The job's script, in its folder. */
export const SCRIPT_FILE = 'slurm.sh';

/** Indices as Slurm writes them: "0-3,7". */
export function formatIndices(indices: readonly number[]): string {
  const sorted = [...new Set(indices)].sort((a, b) => a - b);
  const ranges: [first: number, last: number][] = [];
  for (const index of sorted) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === index - 1) range[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}

/** The value of --array: indices, and how many may run at a time. */
export function arrayOf(indices: readonly number[], { maxParallel }: Pick<ClusterOptions, 'maxParallel'>): string {
  return `${formatIndices(indices)}${maxParallel === undefined ? '' : `%${maxParallel}`}`;
}

/** How much a job is. */
interface ScriptSize {
  readonly tasks: number;
  /** Of each task: Slurm calls these tasks, too, and has a place for each. */
  readonly processes: number;
}

/** Options of sbatch that the script names because the user did. */
const ASKED = ['time', 'partition', 'account', 'qos', 'constraint', 'mem'] as const;

/** Those that a job has. */
export const givenOptions = (options: ClusterOptions): (typeof ASKED)[number][] =>
  ASKED.filter((option) => options[option] !== undefined);

function optionLines(options: ClusterOptions, name: string, { tasks, processes }: ScriptSize): string[] {
  const { time, gpus, nodes = 1, sbatch } = options;
  const limit = time === undefined ? null : parseTimeLimit(String(time));
  const { count } = gpusOf(gpus);
  return [
    `--job-name=${name}`,
    `--array=${arrayOf(
      Array.from({ length: tasks }, (_, i) => i),
      options,
    )}`,
    // Relative to the working folder, which is the job's: sbatch is called there.
    '--output=logs/%a.slurm.log',
    // A requeued task continues its file.
    '--open-mode=append',
    // Permits Slurm to start a task again after preemption or the failure of a node, and the task to ask for it.
    '--requeue',
    // To the batch process alone, which is the worker.
    `--signal=B:USR2@${warningSeconds(limit)}`,
    `--nodes=${nodes}`,
    `--ntasks=${processes}`,
    ...(nodes === 1 ? [] : [`--ntasks-per-node=${Math.ceil(processes / nodes)}`]),
    `--cpus-per-task=${cpusOf(options)}`,
    ...givenOptions(options).map((option) => `--${option}=${options[option]}`),
    ...(count === 0 ? [] : [`--gres=gpu:${gpus}`]),
    ...sbatch,
  ];
}

/**
 * The name of a job for Slurm, from its id: the time before the date, because squeue shows the first eight characters, and of jobs of a day
 * these are the same. "20261130-035022" → "035022-fcn-20261130".
 */
export function slurmName(id: string): string {
  const [, date, time] = /^(\d{8})-(\d{6}(?:-\d+)?)$/.exec(id) ?? [];
  return time === undefined ? `fcn-${id}` : `${time}-fcn-${date}`;
}

/**
 * The script of a job's array. Its options are plain words, since #SBATCH lines have no reliable quotes. Everything else about a task is
 * in job.json: the worker replaces the shell, so that signals of Slurm reach it.
 * @param folder The job's folder, absolute.
 */
export function slurmScript(options: ClusterOptions, folder: string, size: ScriptSize): string {
  const { setup } = options;
  const run = path.join(packageRoot(), 'bin', 'run.js');
  const ready = setup === undefined ? [] : ['', 'set -e', setup.trimEnd(), 'set +e'];
  return [
    '#!/bin/bash',
    ...optionLines(options, slurmName(path.basename(folder)), size).map((option) => `#SBATCH ${option}`),
    ...ready,
    '',
    '# The array index is that of a task in job.json.',
    `exec ${shellWords([process.execPath, run, 'jobs', 'work', folder])} "$SLURM_ARRAY_TASK_ID"`,
    '',
  ].join('\n');
}
