import { z } from 'zod';
import type { AvailableMemory } from '../support/available-memory.js';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import { fileJsonSchema } from '../support/json-schema.js';
import { check, checkYaml, formatFinding, readYaml } from '../support/yaml.js';
import { parseTimeLimit, TIME_FORMS } from './slurm/time-limit.js';

/** A word of the scheduler's: what `#SBATCH --option=WORD` takes without quotes. */
const word = z.string().regex(/^[\w.,:+/@-]+$/, { message: 'expected a name without spaces' });

/** Features may be combined: `a100&ib`, `[rack1|rack2]`, `(a100|h100)*2`. */
const constraint = z.string().regex(/^[\w.,:+/@&|*()[\]-]+$/, { message: 'expected features without spaces' });

/** Numbers and texts: `30`, `"24:00:00"`. */
const orNumber = <T extends z.ZodType<string>>(text: T) => z.union([text, z.int().min(1)]);

const positive = z.int().min(1);

/** Options of sbatch that the job sets, because what it promises depends on them: with their short forms. */
const OWN_OPTIONS = [
  ...['--array', '--output', '--error', '--open-mode', '--requeue', '--no-requeue', '--signal', '--chdir', '--wrap'],
  ...['--parsable', '--test-only', '--wait', '--ntasks', '-a', '-o', '-e', '-D', '-W', '-n'],
] as const;

/** The option of the job's own that a text for sbatch would change; undefined if there is none. */
function ownOptionIn(text: string): string | undefined {
  return OWN_OPTIONS.find((option) =>
    option.startsWith('--')
      ? new RegExp(`(^|\\s)${option}(?=[=\\s]|$)`).test(text)
      : // A short option has its value behind it, with or without a space.
        new RegExp(`(^|\\s)${option}(?!-)`).test(text),
  );
}

const sbatchOption = z
  .string()
  .regex(/^-[^\n\r]*$/, { message: 'expected an option of sbatch, in one line, such as --exclude=node7' })
  .refine((text) => ownOptionIn(text) === undefined, {
    error: ({ input }) => `expected no ${ownOptionIn(String(input))}: the job needs its own`,
  });

const claim = z.strictObject({
  claim: z.string().min(1).describe('Name of a PersistentVolumeClaim.'),
  path: z.string().regex(/^\//, { message: 'expected an absolute path' }).describe('Where the tasks see it.'),
});

const kubernetes = z.strictObject({
  image: z.string().min(1).optional().describe('Image of the containers: fcn must be on its path.'),
  namespace: word.optional().describe('Namespace of the Job.'),
  volumes: z.array(claim).default([]).describe('Volumes that all tasks share: data, runs, cache.'),
});

/** What may be asked of a cluster; flags of the same names replace what a file says. */
const clusterSchema = z.strictObject({
  maxParallel: positive.optional().describe('Most tasks that run at a time. Default: as many as the cluster lets run.'),
  time: orNumber(z.string().refine((text) => parseTimeLimit(text) !== null, { message: `expected ${TIME_FORMS}` }))
    .optional()
    .describe(`Time limit of one start of a task: ${TIME_FORMS}. A task that is not done then is resumed.`),
  partition: word.optional().describe('Partition of Slurm, or several with commas.'),
  account: word.optional().describe('Account that is charged.'),
  qos: word.optional().describe('Quality of service.'),
  constraint: constraint.optional().describe('Features that nodes must have.'),
  cpus: positive
    .optional()
    .describe(
      'Processors of a task, or with several processes of each, and threads of TensorFlow. Other numbers give other last bits. Default: 1.',
    ),
  mem: orNumber(z.string().regex(/^[1-9]\d*[KMGT]?$/, { message: 'expected a size such as 32G (without a unit: M)' }))
    .optional()
    .describe('Main memory of a task, such as 32G. Default: what the cluster gives.'),
  gpus: z
    .union([z.int().min(0), z.string().regex(/^([\w.-]+:)?[1-9]\d*$/, { message: 'expected N or TYPE:N' })])
    .optional()
    .describe('GPUs of a task, N or TYPE:N. fcn uses one. Default: none.'),
  nodes: positive
    .optional()
    .describe(
      'Nodes of a task, among which the processes of its run are divided: --processes, default: one a node. Default: 1.',
    ),
  mpi: word
    .optional()
    .describe(
      'Plugin of srun by which the processes of a run find each other (srun --mpi=list). Default: the one for the MPI that fcn engines install --mpi has found.',
    ),
  sbatch: z.array(sbatchOption).default([]).describe('Any other options of sbatch, one or several each.'),
  setup: z
    .string()
    .optional()
    .describe('Lines of shell that are run on a node before fcn, such as module load. They must end without an error.'),
  kubernetes: kubernetes.optional().describe('For --executor kubernetes.'),
});

/** What is asked of a cluster. */
export type ClusterOptions = Readonly<z.output<typeof clusterSchema>>;
/** The same as typed, without defaults. */
export type ClusterInput = Readonly<z.input<typeof clusterSchema>>;

/** JSON Schema of a cluster file, for editors. */
export function clusterJsonSchema(): object {
  return fileJsonSchema(clusterSchema, 'fcn: what jobs ask of a cluster');
}

/** How the flag of an option is called. */
const flagOf = (key: string) => `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * What a cluster is asked for: the file's options, replaced by those of flags; options of sbatch are those of both.
 * @throws UserError that names file and line, or the flag, of each mistake.
 */
export async function clusterOptions(file: string | undefined, flags: ClusterInput): Promise<ClusterOptions> {
  const ofFile = file === undefined ? { sbatch: [] } : checkYaml(await readYaml(file), clusterSchema);
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const checked = check(clusterSchema, given);
  if (!('value' in checked)) {
    const [first, ...others] = checked.findings.map(({ path: [key, ...rest], message }) =>
      formatFinding({ path: [flagOf(String(key)), ...rest.filter((part) => typeof part !== 'number')], message }),
    );
    throw new UserError([first, ...others].join(' '), 'See fcn reproduce --help and docs/clusters.md.');
  }
  return { ...ofFile, ...checked.value, sbatch: [...ofFile.sbatch, ...checked.value.sbatch] };
}

/** Where the values of a cluster file stand: by key, and of a list by `KEY.INDEX`, such as `slurm.yaml:6`. */
export type OptionOrigins = ReadonlyMap<string, string>;

/** Where each option stands that the file sets and no flag replaces. @throws UserError if the file cannot be read. */
export async function optionOrigins(file: string | undefined, flags: ClusterInput): Promise<OptionOrigins> {
  if (file === undefined) return new Map();
  const yaml = await readYaml(file);
  const set = Object.entries(checkYaml(yaml, clusterSchema)).flatMap(([key, value]): (string | number)[][] => {
    if (Array.isArray(value)) return value.map((_, i) => [key, i]);
    return flags[key as keyof ClusterInput] === undefined ? [[key]] : [];
  });
  return new Map(set.map((path) => [path.join('.'), `${file}:${yaml.lineOf(path)}`]));
}

/** The options of a job as its job.json has them. @throws UserError if they are damaged. */
export function readClusterOptions(options: unknown): ClusterOptions {
  const checked = check(clusterSchema, options);
  if (!('value' in checked)) throw new UserError(`job.json: options: ${formatFinding(checked.finding)}`);
  return checked.value;
}

const MEM_UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes of a size as `mem` has it. */
export function memBytes(mem: string | number): number {
  const [, count, unit = 'M'] = /^(\d+)([KMGT]?)$/.exec(String(mem)) ?? [];
  return Number(count) * MEM_UNITS[unit === '' ? 'M' : unit]!;
}

/** What the worker of a task takes beside its command: 100 MB were measured. */
const WORKER_BYTES = 128 * 2 ** 20;

/** Main memory of a task that gets these bytes. @param why For messages. */
export function memoryOfTask(totalBytes: number, why: string): AvailableMemory {
  const origin = `a task gets ${formatBytes(totalBytes)}, less what its worker takes (${why})`;
  return { bytes: Math.max(0, totalBytes - WORKER_BYTES), totalBytes, limitFile: null, origin };
}

/** The main memory that `mem` asks for; null if it does not. */
export function askedMemory({ mem }: Pick<ClusterOptions, 'mem'>): AvailableMemory | null {
  return mem === undefined ? null : memoryOfTask(memBytes(mem), `--mem ${mem}`);
}

/** The number of GPUs of `gpus`, and their type if it names one. */
export function gpusOf(gpus: ClusterOptions['gpus']): { readonly count: number; readonly type: string | null } {
  const [count = '0', type] = String(gpus ?? 0)
    .split(':')
    .reverse();
  return { count: Number(count), type: type ?? null };
}

/** Threads of a task: its processors. */
export const cpusOf = ({ cpus }: Pick<ClusterOptions, 'cpus'>): number => cpus ?? 1;
