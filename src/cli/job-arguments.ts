import path from 'node:path';
import type { FlagInput } from '@oclif/core/interfaces';
import type { PlannedRun } from '../runs/plan.js';
import { cacheDirectory } from '../support/package.js';
import { clusterFlags } from './cluster-flags.js';

/** Flags that are not a task's: they choose tasks or say how the job is executed, or the worker sets them. */
const NOT_OF_TASKS: ReadonlySet<string> = new Set([
  ...Object.keys(clusterFlags),
  'all',
  'announce',
  'dry-run',
  'executor',
  'fresh',
  'json',
  'keep-going',
  'max-parallel',
  'processes',
  'recipe',
  'repeat',
  'resume',
  'resume-run',
  'seed',
  'srun-mpi',
  'table',
  'threads',
  'time-limit',
  'weights',
]);

/** Flags whose values are paths. */
const PATHS: ReadonlySet<string> = new Set(['data-root', 'file', 'results', 'runs']);

interface TaskChoices {
  /** Parsed flags of `fcn reproduce`: typed, of the environment, or defaults. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Definitions of the flags of a run. */
  readonly known: FlagInput;
  /** `--weights`, as a task finds them from anywhere; null if there are none. */
  readonly weights: string | null;
  /** `--threads`; null if the engine has threads of its own. */
  readonly threads: number | null;
  /** `--processes`, as the job divides its runs; undefined if they are not divided. */
  readonly processes: number | undefined;
  /** `--srun-mpi`; null if no srun starts the processes. */
  readonly srunPlugin: string | null;
}

/**
 * The arguments of the `fcn reproduce` that does one run. Everything that was chosen is spelled out, also what environment variables
 * chose; paths are absolute.
 */
export function taskArguments({ experiment, deviations }: PlannedRun, choices: TaskChoices): string[] {
  const { flags, known, weights, threads, processes, srunPlugin } = choices;
  const words = Object.keys(known)
    .filter((name) => !NOT_OF_TASKS.has(name))
    .flatMap((name) => flagWords(name, flags[name]));
  // A typed path in an override is relative to the working folder: the recipe has it in full.
  const files = deviations.flatMap(({ path: key, value }) =>
    typeof value === 'string' && path.isAbsolute(value) ? [`--set=${key}=${JSON.stringify(value)}`] : [],
  );
  return [
    'reproduce',
    experiment.row,
    ...words,
    ...files,
    `--seed=${experiment.seed}`,
    ...(weights === null ? [] : [`--weights=${weights}`]),
    ...(threads === null ? [] : [`--threads=${threads}`]),
    ...(processes === undefined ? [] : [`--processes=${processes}`]),
    ...(srunPlugin === null ? [] : [`--srun-mpi=${srunPlugin}`]),
  ];
}

/** A flag with its value in one word, so that a value may begin with a dash. */
function flagWords(name: string, value: unknown): string[] {
  if (value === undefined || value === false) return [];
  if (value === true) return [`--${name}`];
  const values = Array.isArray(value) ? value.map(String) : [String(value)];
  return values.map((one) => `--${name}=${PATHS.has(name) ? path.resolve(one) : one}`);
}

/**
 * The settings of fcn in an environment that tasks need, such as where the cache is. Those that set flags are arguments already, and
 * what is shown is the log's business.
 */
export function taskEnvironment(environment: NodeJS.ProcessEnv, known: FlagInput): Record<string, string> {
  const ofFlags = new Set(Object.values(known).flatMap((flag) => flag.env ?? []));
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => {
      if (!name.startsWith('FCN_') || value === undefined || name === 'FCN_QUIET' || ofFlags.has(name)) return [];
      return [[name, name === 'FCN_CACHE_DIR' ? cacheDirectory() : value]];
    }),
  );
}
