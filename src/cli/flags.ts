import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { ENGINE_NAMES } from '../engines/engine.js';
import type { Precision } from '../recipe/experiment.js';
import { DATA_CHECKS } from '../runs/check-data.js';

/** Flags that several commands share. Every default can be set by the environment variable named in `env`. */

const DEFAULT_DATA_ROOT = 'data';

export const dataRoot = Flags.string({
  summary: "Folder that holds the data sets; the experiment file's dataRoot replaces the default.",
  env: 'FCN_DATA_ROOT',
  default: async ({ flags }) => {
    if (typeof flags['file'] !== 'string') return DEFAULT_DATA_ROOT;
    const { dataRootOf } = await import('../recipe/tables.js');
    return dataRootOf(flags['file']) ?? DEFAULT_DATA_ROOT;
  },
  helpValue: 'DIR',
});

/** What a command that takes a run says of its argument. */
export const RUN_FORMS =
  "A run: ROW/RUN, RUN, the beginning of its name, its directory or its record; or a row: the row's newest run";

/** What one that takes several says. */
export const SEVERAL_RUNS_FORMS =
  'Runs: ROW/RUN, RUN, the beginning of a name, a directory or a record; or rows and patterns: all their runs';

/** What a command that is named to the user needs besides, to find the same data sets: nothing where it would anyway. */
export function dataRootFlag(given: string): string {
  return given === (process.env['FCN_DATA_ROOT'] ?? DEFAULT_DATA_ROOT) ? '' : ` --data-root ${given}`;
}

export const engine = Flags.option({
  summary: 'What executes tensors; auto takes tensorflow where it is installed, else wasm.',
  env: 'FCN_ENGINE',
  default: 'auto' as const,
  options: ['auto', ...ENGINE_NAMES] as const,
})();

export const deterministic = Flags.boolean({
  summary: 'On GPUs, too, compute the same bits in every run, which is slower there; processors always do.',
  env: 'FCN_DETERMINISTIC',
});

export const wide = Flags.boolean({
  summary: 'In a terminal: all columns, with borders, instead of what fits into 80.',
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
  multiple: true,
  multipleNonGreedy: true,
  helpValue: 'path=value',
});

export const profile = Flags.option({
  summary: 'full: as published; smoke: scaled down to minutes on a laptop CPU.',
  env: 'FCN_PROFILE',
  default: 'full' as const,
  options: ['full', 'smoke'] as const,
})();

export const file = Flags.string({
  summary: 'Experiment file to read the row from, instead of those of the package.',
  helpValue: 'FILE.yaml',
});

/** For commands that read a data set, but no row. */
export const dataRootFile = Flags.string({
  summary: 'Experiment file whose dataRoot holds the data set.',
  helpValue: 'FILE.yaml',
});

export const precision = Flags.option({
  summary:
    "Store and convolve images and gradients in this instead of the recipe's; fp16 becomes bf16 on processors, which have " +
    'only that.',
  env: 'FCN_PRECISION',
  options: ['fp32', 'bf16', 'fp16'] as const satisfies readonly Precision[],
})();

export const evaluateEvery = Flags.integer({
  summary: 'While training goes on, evaluate after every so many iterations; log.jsonl and fcn report show it.',
  env: 'FCN_EVALUATE_EVERY',
  min: 1,
  helpValue: 'N',
});

/** Which experiment: a row's recipe, its profile and what is changed in it. */
export const experiment = { profile, set, precision, seed, file };

/** The overrides that the flags of an experiment stand for, in the order in which they are applied. */
export function overridesOf({
  set = [],
  precision,
}: {
  readonly set?: string[] | undefined;
  readonly precision?: Precision | undefined;
}): string[] {
  return [...set, ...(precision === undefined ? [] : [`training.precision=${precision}`])];
}

export const checkData = Flags.option({
  summary: 'Before a run, look at the samples: their headers, every pixel, or not at all.',
  env: 'FCN_CHECK_DATA',
  default: 'fast' as const,
  options: DATA_CHECKS,
})();

export const skipBad = Flags.integer({
  summary: 'Leave out up to so many samples that cannot be read; figures of an evaluation without some get no verdict.',
  env: 'FCN_SKIP_BAD',
  default: 0,
  min: 0,
  helpValue: 'N',
});

export const tensorboard = Flags.boolean({
  summary: "Write TensorBoard's event files, too: RUN/tensorboard.",
  env: 'FCN_TENSORBOARD',
});

export const force = Flags.boolean({ summary: 'Start although memory or disk will not do, by the estimate.' });

export const resume = Flags.boolean({
  summary: 'Go on with the newest run of the recipe, which happens anyway; where it has completed, do nothing.',
  exclusive: ['fresh', 'resume-run'],
});

const resumeRun = Flags.string({
  summary: 'Resume this run: ROW/RUN, RUN, the beginning of its name, its directory or its record.',
  helpValue: 'RUN',
  exclusive: ['fresh'],
});

export const fresh = Flags.boolean({
  summary: 'Start a new run, also where one of the same recipe was interrupted.',
});

export const keep = Flags.integer({
  summary: 'Newest checkpoints that stay, besides the best.',
  env: 'FCN_KEEP',
  default: 2,
  min: 1,
  helpValue: 'N',
});

const maxLoss = Flags.string({
  summary: 'Save at least so often, besides the iterations of the recipe: the most work that a crash costs.',
  env: 'FCN_MAX_LOSS',
  default: '5m',
  helpValue: 'TIME',
});

export const timeLimit = Flags.string({
  summary: 'Save and stop, with exit code 75, after this time: before a scheduler ends the job.',
  env: 'FCN_TIME_LIMIT',
  helpValue: 'TIME',
});

/** Where a run reads and writes, what executes it, and what it does about bad data. */
export const run = {
  engine,
  deterministic,
  'data-root': dataRoot,
  runs,
  results,
  'check-data': checkData,
  'skip-bad': skipBad,
  tensorboard,
  force,
  resume,
  'resume-run': resumeRun,
  fresh,
  keep,
  'max-loss': maxLoss,
  'time-limit': timeLimit,
};

/** Which of a file's dictionaries of tensors the weights are. */
export const weightsKey = Flags.string({
  summary:
    'Where a .pth holds several dictionaries of tensors: the key of the one to take, as ema or checkpoint.model.',
  helpValue: 'KEY',
});

export const table = Flags.string({
  summary: "Only rows of this table; its name or its file's name, as voc2012-aug.",
  helpValue: 'NAME',
});

export const row = Args.string({
  description: 'Id of a row, as fcn list shows it; may be left out where --file has one row.',
});

export const dataset = Args.string({
  description: 'Id of a data set, as fcn datasets list shows it, or a YAML file that describes one.',
  required: true,
});

export const rows = Args.string({
  description: "Ids of rows, as fcn list shows them, or patterns in quotes, as 'fcn_r50*769*' or 'fcn_{r18,r50}-*'.",
  multiple: true,
});
