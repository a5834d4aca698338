/** GPUs of a training. */
export interface LoggedGpus {
  /** Of all models that the header lists; null where it lists none. */
  readonly name: string | null;
  /** Those that were used. */
  readonly count: number;
  /** Those that the header lists, a model each. */
  readonly models: readonly { readonly name: string; readonly count: number }[];
}

/** "4 × Tesla V100", or each of several models, or how many of them were used. */
export function formatGpus({ count, models }: LoggedGpus): string {
  const [model, ...others] = models;
  if (model === undefined) return `${count}, of a model that the log does not state`;
  if (others.length === 0) return `${count} × ${model.name}`;
  const list = models.map((one) => `${one.count} × ${one.name}`).join(' and ');
  return models.reduce((sum, one) => sum + one.count, 0) === count ? list : `${count}, where the header lists ${list}`;
}

/** What a published log says of itself, in its line before the first iteration. */
export interface LogHeader {
  /** Name of the config file that was trained, without its ending; null where it is not said. */
  readonly experimentName: string | null;
  readonly seed: number | null;
  /** Engine, libraries and machine by name; empty where nothing is said. */
  readonly environment: ReadonlyMap<string, string>;
  /** Of the GPUs that were used; null where it is not said. */
  readonly gpu: LoggedGpus | null;
  /** Values of the recipe that the config in the log states, by their paths in an experiment; empty where it has none. */
  readonly recipe: ReadonlyMap<string, unknown>;
  /** Epochs of the schedule, where the config states it in epochs; else null. */
  readonly epochs: number | null;
  /** Images of a step on one GPU, as the config states; null where it does not. */
  readonly imagesPerGpu: number | null;
  /** Type of the data set as the config names it; null where it does not. */
  readonly dataset: string | null;
  /** Number of classes that the header lists; null where it lists none. */
  readonly classes: number | null;
}

/** Of a log that says nothing of itself. */
export const NO_HEADER: LogHeader = {
  experimentName: null,
  seed: null,
  environment: new Map(),
  gpu: null,
  recipe: new Map(),
  epochs: null,
  imagesPerGpu: null,
  dataset: null,
  classes: null,
};

/** Of so much no reader makes use: pages of compiler flags. */
const PASSED_OVER = new Set(['PyTorch compiling details', 'CUDA_HOME']);

/** "NAME: VALUE" a line, of which indented ones go on with the one before. */
function readEnvironment(text: string): Map<string, string> {
  // Some loggers write it as HTML.
  const lines = text.split(/\r\n?|\n|<br *\/?>/i).flatMap((line): [string, string][] => {
    const match = /^(\S[^:]*): *(\S.*?)\s*$/.exec(line);
    return match === null || PASSED_OVER.has(match[1]!) ? [] : [[match[1]!, match[2]!]];
  });
  return new Map(lines);
}

/** How many devices "0,1,2,3", "0-3" or "0" are. */
function countDevices(devices: string): number {
  return devices
    .split(/[\s,]+/)
    .filter((one) => one !== '')
    .map((one) => one.split('-').map(Number))
    .reduce((sum, [first, last = first]) => sum + last! - first! + 1, 0);
}

/** "GPU 0,1,2,3: Tesla V100-SXM2-32GB" → that name, four times; null where no line names a GPU. */
function readGpus(environment: ReadonlyMap<string, string>): LoggedGpus | null {
  const models = new Map<string, number>();
  for (const [key, name] of environment) {
    const devices = /^GPUs? (\d[\d\s,-]*)$/.exec(key)?.[1];
    const count = devices === undefined ? 0 : countDevices(devices);
    if (count > 0) models.set(name, (models.get(name) ?? 0) + count);
  }
  if (models.size === 0) return null;
  return {
    name: [...models.keys()].join(' and '),
    count: [...models.values()].reduce((sum, count) => sum + count, 0),
    models: [...models].map(([name, count]) => ({ name, count })),
  };
}

/**
 * Where a config, as Python text, states a value of the recipe. Only what is written as a plain number, and once for all of
 * the training, is looked for.
 */
const STATED: Readonly<Record<string, readonly RegExp[]>> = {
  'model.depth': [/\bbackbone=dict\([^)]*?\bdepth=(\d+)/s],
  'model.classes': [/\bdecode_head=dict\([^)]*?\bnum_classes=(\d+)/s],
  'data.cropHw': [/^crop_size = \((\d+), (\d+)\)/m],
  'training.iterations': [/^total_iters = (\d+)/m, /^runner = dict\([^)]*\bmax_iters=(\d+)/m],
  'training.learningRate': [/^optimizer = dict\([^)]*\blr=([\d.e-]+)/m],
  'training.momentum': [/^optimizer = dict\([^)]*\bmomentum=([\d.e-]+)/m],
  'training.weightDecay': [/^optimizer = dict\([^)]*\bweight_decay=([\d.e-]+)/m],
  'training.power': [/^lr_config = dict\([^)]*\bpower=([\d.e-]+)/m],
  'training.minimumLearningRate': [/^lr_config = dict\([^)]*\bmin_lr=([\d.e-]+)/m],
};

const SCHEDULED_EPOCHS = [/^total_epochs = (\d+)/m, /^(?:runner|train_cfg) = dict\([^)]*\bmax_epochs=(\d+)/m];
const IMAGES_PER_GPU = /^data = dict\([^)]*?\bsamples_per_gpu=(\d+)/ms;
const DATASET = /^dataset_type = ['"](\w+)['"]/m;
/** What a distributed training states; of others it always is one GPU, as it also was in early distributed ones. */
const GPU_IDS = /^gpu_ids = (?:range\((?:0, *)?(\d+)\)|[[(]([\d, ]+)[\])])/m;

function numberIn(config: string, patterns: readonly RegExp[]): number | null {
  const found = patterns.map((pattern) => pattern.exec(config)?.[1]).find((text) => text !== undefined);
  return found === undefined ? null : Number(found);
}

/** GPUs that were used: as the config states, where it states several; else those that the machine had. */
function usedGpus(config: string, visible: LoggedGpus | null): LoggedGpus | null {
  const [, range, list] = GPU_IDS.exec(config) ?? [];
  const stated = list === undefined ? Number(range ?? 1) : countDevices(list);
  return stated > 1 ? { ...(visible ?? { name: null, models: [] }), count: stated } : visible;
}

function readRecipe(config: string, gpus: number | null): Map<string, unknown> {
  const stated = new Map<string, unknown>();
  for (const [path, patterns] of Object.entries(STATED)) {
    const found = patterns.map((pattern) => pattern.exec(config)).find((match) => match !== null);
    const numbers = found?.slice(1).map(Number) ?? [];
    if (numbers.length > 0 && numbers.every(Number.isFinite))
      stated.set(path, numbers.length === 1 ? numbers[0] : numbers);
  }
  const images = numberIn(config, [IMAGES_PER_GPU]);
  if (gpus !== null && images !== null) stated.set('training.batch', images * gpus);
  return stated;
}

/** What only a header has. */
const HEADER_KEYS = ['env_info', 'exp_name', 'config', 'seed', 'mmseg_version', 'hook_msgs', 'CLASSES', 'PALETTE'];

/** Whether an object of a log is its header: it says something of the training, and nothing of an iteration. */
export function isHeader(value: Readonly<Record<string, unknown>>): boolean {
  return (
    ['mode', 'iter', 'step', 'loss'].every((key) => value[key] === undefined) &&
    HEADER_KEYS.some((key) => value[key] !== undefined)
  );
}

/** Reads the header of a log; what it does not say is null or empty. */
export function readHeader(value: Readonly<Record<string, unknown>>): LogHeader {
  const text = (key: string) => (typeof value[key] === 'string' ? value[key] : null);
  const seed = value['seed'];
  const environment = readEnvironment(text('env_info') ?? '');
  const config = text('config') ?? '';
  const gpu = usedGpus(config, readGpus(environment));
  const classes = value['CLASSES'];
  return {
    experimentName: text('exp_name')?.replace(/\.py$/, '') ?? null,
    seed: typeof seed === 'number' ? seed : null,
    environment,
    gpu,
    recipe: readRecipe(config, gpu?.count ?? null),
    epochs: numberIn(config, SCHEDULED_EPOCHS),
    imagesPerGpu: numberIn(config, [IMAGES_PER_GPU]),
    dataset: DATASET.exec(config)?.[1] ?? null,
    classes: Array.isArray(classes) ? classes.length : null,
  };
}

/** A figure that cannot be used: the key that it stands under, and what is wrong with it. */
interface UnreadFigure {
  readonly key: string;
  readonly why: string;
}

/** The figures of an evaluation as its line has them: fractions or percent. NaN where a value is no finite number. */
export interface RawFigures {
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  readonly perClass: ReadonlyMap<string, number>;
  /** All figures of the line that are finite, those that nobody asks for, too: they tell the unit. */
  readonly all: readonly number[];
  /** Whether the figures have a percent sign, which tells the unit whatever their size. */
  readonly percentSigns: boolean;
  /** Figures that are no finite numbers; IoU of a class that is NaN is none of them: no pixel was of the class. */
  readonly unread: readonly UnreadFigure[];
}

/** What the line of a training says; NaN where it says nothing. */
export interface RawTraining {
  readonly learningRate: number;
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  readonly secondsPerIteration: number;
  readonly memoryBytes: number;
}

/** A line of a log by what its keys say it is. */
export type LogEntry =
  | { readonly kind: 'header'; readonly line: number; readonly header: LogHeader }
  | {
      /** "mixed": an evaluation that was logged together with the training's line, before either was written. */
      readonly kind: 'train' | 'mixed' | 'evaluation';
      readonly line: number;
      /** As it stands: an iteration of the training or of its epoch, or the number of validation images or batches. */
      readonly iteration: number | null;
      /** Whether it stands there as `iter`, which in an evaluation may be a number of images; not as `step`. */
      readonly isIter: boolean;
      readonly epoch: number | null;
      readonly training: RawTraining | null;
      readonly figures: RawFigures | null;
    }
  /** "unused": a line that is understood and belongs to no curve. "unplaced": one that is not understood. */
  | { readonly kind: 'unused' | 'unplaced'; readonly line: number; readonly reason: string };

export type PlacedEntry = Extract<LogEntry, { readonly kind: 'train' | 'mixed' | 'evaluation' }>;

type Values = Readonly<Record<string, unknown>>;

const DECIMAL = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
const NUMBER_TEXT = new RegExp(`^\\s*${DECIMAL}\\s*$`, 'i');
const PERCENT_TEXT = new RegExp(`^\\s*(${DECIMAL})\\s*%\\s*$`, 'i');
/** As Python and NumPy write what is not finite, and how a reader of JSON is left with it: null. */
const NOT_FINITE = /^\s*[+-]?(?:nan|inf|infinity|none|null)\s*$/i;

/** A number, or a text that is one, which some loggers write; else NaN. */
function number(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && NUMBER_TEXT.test(value) ? Number(value) : Number.NaN;
}

/** A figure of an evaluation, which may have a percent sign. */
function figureOf(value: unknown): { readonly value: number; readonly isPercent: boolean } {
  const percent = typeof value === 'string' ? PERCENT_TEXT.exec(value)?.[1] : undefined;
  return percent === undefined
    ? { value: number(value), isPercent: false }
    : { value: Number(percent), isPercent: true };
}

function whyUnread(value: unknown): string {
  if (value === null || typeof value === 'number' || (typeof value === 'string' && NOT_FINITE.test(value)))
    return 'is no finite number';
  return `is ${JSON.stringify(value).slice(0, 40)}, no number`;
}

/** Of `mIoU` and the like, and of the classes by name; the 1.x generation may put the mode before them. */
const MEAN_FIGURE = /^(?:(?:val|test)\/)?([am](?:IoU|Acc|Dice|Fscore|Precision|Recall))$/;
const CLASS_FIGURE = /^(?:(?:val|test)\/)?(IoU|Acc|Dice|Fscore|Precision|Recall)\.(.*)$/s;

const NO_FIGURES = {
  mIoU: Number.NaN,
  mAcc: Number.NaN,
  aAcc: Number.NaN,
  perClass: new Map<string, number>(),
  all: [],
  percentSigns: false,
};

function figuresOf(value: Values): RawFigures | null {
  const means = new Map<string, number>();
  const perClass = new Map<string, number>();
  const unread: UnreadFigure[] = [];
  const signed: number[] = [];
  const plain: number[] = [];
  for (const [key, given] of Object.entries(value)) {
    const mean = MEAN_FIGURE.exec(key)?.[1];
    const [, kind, name] = CLASS_FIGURE.exec(key) ?? [];
    if (mean === undefined && kind === undefined) continue;
    const { value: figure, isPercent } = figureOf(given);
    if (mean !== undefined) means.set(mean, figure);
    else if (kind === 'IoU') perClass.set(name!, figure);
    if (Number.isFinite(figure)) (isPercent ? signed : plain).push(figure);
    else {
      const why = whyUnread(given);
      if (mean !== undefined || why !== 'is no finite number') unread.push({ key, why });
    }
  }
  if (means.size === 0 && perClass.size === 0) return null;
  const mean = (name: string) => means.get(name) ?? Number.NaN;
  const all = [...signed, ...plain];
  // Of a line that has both, the unit of those without a sign is not known.
  if (signed.length > 0 && plain.length > 0) {
    unread.push({ key: 'figures', why: 'are partly with a percent sign and partly without' });
    return { ...NO_FIGURES, unread };
  }
  return {
    mIoU: mean('mIoU'),
    mAcc: mean('mAcc'),
    aAcc: mean('aAcc'),
    perClass,
    all,
    percentSigns: signed.length > 0,
    unread,
  };
}

/** A key of the line, with or without the mode before it. */
function inTraining(value: Values, ...keys: readonly string[]): unknown {
  for (const key of keys) {
    if (value[key] !== undefined) return value[key];
    if (value[`train/${key}`] !== undefined) return value[`train/${key}`];
  }
  return undefined;
}

function trainingOf(value: Values): RawTraining | null {
  const loss = inTraining(value, 'loss');
  if (loss === undefined) return null;
  return {
    learningRate: number(inTraining(value, 'lr', 'base_lr')),
    loss: number(loss),
    decodeLoss: number(inTraining(value, 'decode.loss_seg', 'decode.loss_ce')),
    auxiliaryLoss: number(inTraining(value, 'aux.loss_seg', 'aux.loss_ce')),
    secondsPerIteration: number(inTraining(value, 'time')),
    memoryBytes: number(inTraining(value, 'memory')) * 2 ** 20,
  };
}

/**
 * What a line is, by its keys: figures make it an evaluation, a loss a line of the training, whatever its mode says. For
 * versions of the original's logger wrote evaluations with the mode "train", and with the number of validation images as `iter`.
 * @param line From 1.
 */
export function readEntry(value: Values, line: number): LogEntry {
  if (isHeader(value)) return { kind: 'header', line, header: readHeader(value) };
  const { mode, iter, step, epoch } = value;
  const figures = figuresOf(value);
  const training = trainingOf(value);
  // Lines of the 1.x generation have no mode; their `step` is the iteration.
  const at = mode === undefined ? (step ?? iter) : (iter ?? step);
  const counted = number(at);
  const iteration = Number.isSafeInteger(counted) && counted >= 0 ? counted : null;
  const isIter = at === iter;
  const common = { line, iteration, isIter, epoch: Number.isSafeInteger(number(epoch)) ? number(epoch) : null };
  const ofValidation = mode === 'val' || mode === 'test';
  if (figures !== null) {
    // Only a line of the training has a learning rate and a loss; the loss of validation images may stand beside figures, too.
    const mixed = training !== null && !ofValidation && inTraining(value, 'lr', 'base_lr') !== undefined;
    return { kind: mixed ? 'mixed' : 'evaluation', ...common, training: mixed ? training : null, figures };
  }
  if (training === null) return { kind: 'unplaced', line, reason: 'neither a loss nor figures of an evaluation' };
  if (ofValidation) return { kind: 'unused', line, reason: 'loss on validation images, no part of the curve' };
  if (iteration === null) {
    const said =
      at === undefined ? 'without an iteration' : `of iteration ${JSON.stringify(at).slice(0, 40)}, no whole number`;
    return { kind: 'unplaced', line, reason: `a loss ${said}` };
  }
  return { kind: 'train', ...common, training, figures: null };
}
