import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { AUTO_ENGINE, CONVOLUTION_MODES, ENGINE_NAMES } from '../engines/engine.js';
import { CLASS_ORDERS } from '../evaluation/class-figures.js';
import type { Precision } from '../recipe/experiment.js';
import { DATA_CHECKS } from '../runs/check-data.js';

/**
 * Flags that several commands share. The environment variable named in `env` sets the default. What a flag takes, which the shell
 * completes, is its `helpValue` or, where the help should say less, `completes`; an argument has only the latter
 * (completion/values.ts has the kinds).
 */

/** For flags that may be given several times, one value each. */
export const repeatable = { multiple: true, multipleNonGreedy: true } as const;

const DEFAULT_DATA_ROOT = 'data';

export const dataRoot = Flags.string({
  summary: "Folder of the data sets; the experiment file's dataRoot replaces the default.",
  env: 'FCN_DATA_ROOT',
  default: async ({ flags }) => {
    if (typeof flags['file'] !== 'string') return DEFAULT_DATA_ROOT;
    const { dataRootOf } = await import('../recipe/tables.js');
    return dataRootOf(flags['file']) ?? DEFAULT_DATA_ROOT;
  },
  helpValue: 'DIR',
});

/** The forms of an argument that names a run. */
export const RUN_FORMS =
  "A run (ROW/RUN, RUN, the beginning of its name, its directory or its record), or a row, for the row's newest run";

export const runOrNewest = Args.string({ description: `${RUN_FORMS}. Default: the newest run.`, completes: 'RUN' });

/** What a flag takes that names weights. */
export const weightsValue = { helpValue: 'FILE|published|RUN', completes: 'FILE|published|RUN:best' } as const;

export const runsOrAll = Args.string({
  description:
    'Runs (ROW/RUN, RUN, the beginning of a name, a directory or a record), or rows and patterns, for all their runs. Default: all runs.',
  multiple: true,
  completes: 'RUN|RECORD',
});

/** The flag that a suggested command needs to find the data sets in `root`: empty if the default is the same. */
export function dataRootFlag(root: string): string {
  return root === (process.env['FCN_DATA_ROOT'] ?? DEFAULT_DATA_ROOT) ? '' : ` --data-root ${root}`;
}

export const engine = Flags.option({
  summary: `What executes tensors; auto: ${AUTO_ENGINE}.`,
  env: 'FCN_ENGINE',
  default: 'auto' as const,
  options: ['auto', ...ENGINE_NAMES] as const,
})();

/** Which adapter the webgpu engine uses; `BaseCommand.parse` passes it on. */
export const adapterChoice = {
  adapter: Flags.string({
    summary: 'GPU of the webgpu engine: its number in fcn engines list, or a part of its name. Default: the first.',
    env: 'FCN_ADAPTER',
    helpValue: 'N|NAME',
  }),
  'allow-software-adapter': Flags.boolean({
    summary: 'Let the webgpu engine use an adapter that computes on the processor; it is slow, and for tests.',
    env: 'FCN_ALLOW_SOFTWARE_ADAPTER',
  }),
};

export const deterministic = Flags.boolean({
  summary: 'Compute the same bits in every run on GPUs, too, which is slower; CPUs always do.',
  env: 'FCN_DETERMINISTIC',
});

export const convolution = Flags.option({
  summary: '3×3 convolutions: fast, by fewer multiplications where that pays (x86-64 processors), or direct.',
  env: 'FCN_CONVOLUTION',
  default: 'fast' as const,
  options: CONVOLUTION_MODES,
})();

export const wide = Flags.boolean({
  summary: 'In a terminal, show all columns, with borders, instead of those that fit 80 characters.',
  env: 'FCN_WIDE',
});

export const runs = Flags.string({
  summary: 'Folder of the run directories.',
  env: 'FCN_RUNS',
  default: 'runs',
  helpValue: 'DIR',
});

export const results = Flags.string({
  summary: 'Folder of the kept records and tables.',
  env: 'FCN_RESULTS',
  default: 'results',
  helpValue: 'DIR',
});

export const seed = Flags.integer({
  summary: 'Seed of every random draw.',
  env: 'FCN_SEED',
  min: 0,
  max: 2 ** 32 - 1,
  helpValue: 'N',
});

export const set = Flags.string({
  summary: 'Override a value of the recipe, as in --set width=16; may be given several times.',
  ...repeatable,
  helpValue: 'path=value',
});

export const profile = Flags.option({
  summary: 'full: as published; smoke: scaled down to minutes on a laptop CPU.',
  env: 'FCN_PROFILE',
  default: 'full' as const,
  options: ['full', 'smoke'] as const,
})();

export const file = Flags.string({
  summary: 'Experiment file with the row, instead of those of the package.',
  helpValue: 'FILE.yaml',
});

/** For commands that read a data set, but no row. */
export const dataRootFile = Flags.string({
  summary: 'Experiment file whose dataRoot holds the data set.',
  helpValue: 'FILE.yaml',
});

export const precision = Flags.option({
  summary:
    "Store and convolve images and gradients in this precision, not the recipe's; on CPUs fp16 becomes bf16, the only " +
    '16-bit type that they have.',
  env: 'FCN_PRECISION',
  options: ['fp32', 'bf16', 'fp16'] as const satisfies readonly Precision[],
})();

export const threads = Flags.integer({
  summary:
    'Most threads that predict on the wasm engine, which uses one by itself; no figure depends on it. Default: as many as there are ' +
    'processors, if memory allows it and the work is worth it.',
  env: 'FCN_THREADS',
  min: 1,
  helpValue: 'N',
});

export const processes = Flags.integer({
  summary:
    'Divide each batch and each evaluation among N processes of this machine, connected by MPI (see fcn engines install --mpi). ' +
    'Batches are then computed in shards, to the same bits for any N, 1 included.',
  env: 'FCN_PROCESSES',
  min: 1,
  helpValue: 'N',
});

export const processesThatPredict = Flags.integer({
  summary:
    'Divide the images among N processes of this machine, connected by MPI (see fcn engines install --mpi). No file and no figure ' +
    'depends on N.',
  env: 'FCN_PROCESSES',
  min: 1,
  helpValue: 'N',
});

export const exchange = Flags.option({
  summary:
    'How gradients travel between processes; bf16 halves the bytes, but bits then depend on the number of processes.',
  env: 'FCN_EXCHANGE',
  default: 'fp32' as const,
  options: ['fp32', 'bf16'] as const,
})();

export const evaluateEvery = Flags.integer({
  summary: 'During training, evaluate after every N iterations; log.jsonl and fcn report show the result.',
  env: 'FCN_EVALUATE_EVERY',
  min: 1,
  helpValue: 'N',
});

export const reset = Flags.option({
  summary: 'Start these anew instead of loading them from the initial weights of the recipe.',
  options: ['classifier'] as const,
})();

/** Which experiment to run: a row's recipe, its profile and changes to it. */
export const experiment = { profile, set, precision, seed, file };

/** The overrides of an experiment's flags, in the order in which they apply. */
export function overridesOf({
  set = [],
  precision,
  reset,
}: {
  readonly set?: string[] | undefined;
  readonly precision?: Precision | undefined;
  readonly reset?: 'classifier' | undefined;
}): string[] {
  return [
    ...set,
    ...(precision === undefined ? [] : [`training.precision=${precision}`]),
    ...(reset === undefined ? [] : [`model.reset=${reset}`]),
  ];
}

const checkData = Flags.option({
  summary: 'Check of the samples before a run: fast reads their headers, full every pixel, off nothing.',
  env: 'FCN_CHECK_DATA',
  default: 'fast' as const,
  options: DATA_CHECKS,
})();

const skipBad = Flags.integer({
  summary: 'Leave out up to N samples that cannot be read; the figures of an incomplete evaluation get no verdict.',
  env: 'FCN_SKIP_BAD',
  default: 0,
  min: 0,
  helpValue: 'N',
});

const tensorboard = Flags.boolean({
  summary: 'Write event files for TensorBoard, too: RUN/tensorboard.',
  env: 'FCN_TENSORBOARD',
});

const force = Flags.boolean({ summary: 'Start even if the estimate says that memory or disk will not suffice.' });

export const offline = Flags.boolean({
  summary: 'Fetch nothing; if a file is not in the cache, say where to put it.',
  env: 'FCN_OFFLINE',
});

const resume = Flags.boolean({
  summary: 'Resume the newest run of the recipe (the default), but do nothing if it has completed.',
  exclusive: ['fresh', 'resume-run'],
});

const resumeRun = Flags.string({
  summary: 'Resume this run: ROW/RUN, RUN, the beginning of its name, its directory or its record.',
  helpValue: 'RUN',
  exclusive: ['fresh'],
});

const fresh = Flags.boolean({
  summary: 'Start a new run, even if one of the same recipe was interrupted.',
});

const keep = Flags.integer({
  summary: 'Number of newest checkpoints to keep, besides the best.',
  env: 'FCN_KEEP',
  default: 2,
  min: 1,
  helpValue: 'N',
});

const maxLoss = Flags.string({
  summary: 'Save at least this often, besides the iterations of the recipe: the most work that a crash costs.',
  env: 'FCN_MAX_LOSS',
  default: '5m',
  helpValue: 'TIME',
});

const timeLimit = Flags.string({
  summary: 'Save and stop after this time, with exit code 75, before a scheduler ends the job.',
  env: 'FCN_TIME_LIMIT',
  helpValue: 'TIME',
});

export const classOrder = Flags.option({
  summary: 'Order of the classes: as the data set lists them, by IoU, or by name.',
  env: 'FCN_SORT_CLASSES',
  default: 'data-set' as const,
  options: CLASS_ORDERS,
})();

/** Where a run reads and writes, its engine, and how it treats bad data. */
export const run = {
  engine,
  ...adapterChoice,
  deterministic,
  convolution,
  'data-root': dataRoot,
  runs,
  results,
  'check-data': checkData,
  'skip-bad': skipBad,
  tensorboard,
  force,
  offline,
  resume,
  'resume-run': resumeRun,
  fresh,
  keep,
  'max-loss': maxLoss,
  'time-limit': timeLimit,
};

export const weightsKey = Flags.string({
  summary: 'Key of the weights in a .pth with several dictionaries of tensors, such as ema or checkpoint.model.',
  helpValue: 'KEY',
});

export const tableName = Flags.string({
  summary: "Only rows of this table: its name or its file's name, such as voc2012-aug.",
  helpValue: 'TABLE',
});

export const row = Args.string({
  description: 'Id of a row, as fcn list shows it; may be left out if --file has one row.',
  completes: 'ROW',
});

export const dataset = Args.string({
  description: 'Id of a data set, as fcn datasets list shows it, or a YAML file that describes one.',
  required: true,
  completes: 'DATASET|FILE.yaml',
});

export const rows = Args.string({
  description: "Ids of rows, as fcn list shows them, or quoted patterns such as 'fcn_r50*769*' or 'fcn_{r18,r50}-*'.",
  multiple: true,
  completes: 'ROW',
});

export const jobOrNewest = Args.string({
  description:
    'A job: its id as fcn jobs list shows it, the beginning of the id, or its folder. Default: the newest job.',
  completes: 'JOB',
});

export const job = Args.string({
  description: 'A job: its id as fcn jobs list shows it, the beginning of the id, or its folder.',
  required: true,
  completes: 'JOB',
});

/** The forms of an argument that names tasks of a job. */
const TASK_FORMS =
  'Tasks: a row, ROW:SEED, an index, the beginning of a row, or a quoted pattern. Default: all tasks of the job.';

export const tasks = Args.string({ description: TASK_FORMS, completes: 'ROW' });
