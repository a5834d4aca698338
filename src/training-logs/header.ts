/** GPUs of a training. */
export interface LoggedGpus {
  /** Of all models that the header lists; null if it lists none. */
  readonly name: string | null;
  /** GPUs that were used. */
  readonly count: number;
  /** GPUs that the header lists, by model. */
  readonly models: readonly { readonly name: string; readonly count: number }[];
}

/** "4 × Tesla V100", "2 × A and 1 × B", or "2, and the header lists 4 × A". */
export function formatGpus({ count, models }: LoggedGpus): string {
  const [model, ...others] = models;
  if (model === undefined) return `${count}, of a model that the log does not state`;
  if (others.length === 0) return `${count} × ${model.name}`;
  const list = models.map((one) => `${one.count} × ${one.name}`).join(' and ');
  return models.reduce((sum, one) => sum + one.count, 0) === count ? list : `${count}, and the header lists ${list}`;
}

/** What a log says about its training, in the line before the first iteration. Null or empty: the log does not say. */
export interface LogHeader {
  /** Name of the config file that was trained, without its extension. */
  readonly experimentName: string | null;
  readonly seed: number | null;
  /** Engine, libraries and machine by name. */
  readonly environment: ReadonlyMap<string, string>;
  readonly gpu: LoggedGpus | null;
  /** Values of the recipe that the config in the log states, by their paths in an experiment. */
  readonly recipe: ReadonlyMap<string, unknown>;
  /** Epochs of the schedule, if the config states it in epochs. */
  readonly epochs: number | null;
  /** Images of a step on one GPU, as the config states. */
  readonly imagesPerGpu: number | null;
  /** Type of the data set as the config names it. */
  readonly dataset: string | null;
  /** Number of classes that the header lists. */
  readonly classes: number | null;
}

/** Pages of compiler flags, which nobody reads. */
const SKIPPED = new Set(['PyTorch compiling details', 'CUDA_HOME']);

/** Lines of "NAME: VALUE". Indented lines, which continue the one before, are left out. */
function readEnvironment(text: string): Map<string, string> {
  // Some loggers write it as HTML.
  const lines = text.split(/\r\n?|\n|<br *\/?>/i).flatMap((line): [string, string][] => {
    const match = /^(\S[^:]*): *(\S.*?)\s*$/.exec(line);
    return match === null || SKIPPED.has(match[1]!) ? [] : [[match[1]!, match[2]!]];
  });
  return new Map(lines);
}

/** Number of devices in "0,1,2,3", "0-3" or "0". */
function countDevices(devices: string): number {
  return devices
    .split(/[\s,]+/)
    .filter((one) => one !== '')
    .map((one) => one.split('-').map(Number))
    .reduce((sum, [first, last = first]) => sum + last! - first! + 1, 0);
}

/** "GPU 0,1,2,3: Tesla V100-SXM2-32GB" → that name, four times; null if no line names a GPU. */
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

/** Where a config, as Python text, states a value of the recipe: plain numbers that hold for the whole training. */
const RECIPE_PATTERNS: Readonly<Record<string, readonly RegExp[]>> = {
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
/** A distributed training states its GPUs. Others, and early distributed ones, state one whatever they used. */
const GPU_IDS = /^gpu_ids = (?:range\((?:0, *)?(\d+)\)|[[(]([\d, ]+)[\])])/m;

function numberIn(config: string, patterns: readonly RegExp[]): number | null {
  const found = patterns.map((pattern) => pattern.exec(config)?.[1]).find((text) => text !== undefined);
  return found === undefined ? null : Number(found);
}

/** GPUs that were used: those that the config states if it states several; else those of the machine. */
function usedGpus(config: string, visible: LoggedGpus | null): LoggedGpus | null {
  const [, range, list] = GPU_IDS.exec(config) ?? [];
  const stated = list === undefined ? Number(range ?? 1) : countDevices(list);
  return stated > 1 ? { ...(visible ?? { name: null, models: [] }), count: stated } : visible;
}

function readRecipe(config: string, gpus: number | null): Map<string, unknown> {
  const stated = new Map<string, unknown>();
  for (const [path, patterns] of Object.entries(RECIPE_PATTERNS)) {
    const found = patterns.map((pattern) => pattern.exec(config)).find((match) => match !== null);
    const numbers = found?.slice(1).map(Number) ?? [];
    if (numbers.length > 0 && numbers.every(Number.isFinite))
      stated.set(path, numbers.length === 1 ? numbers[0] : numbers);
  }
  const images = numberIn(config, [IMAGES_PER_GPU]);
  if (gpus !== null && images !== null) stated.set('training.batch', images * gpus);
  return stated;
}

/** Keys that only a header has. */
const HEADER_KEYS = ['env_info', 'exp_name', 'config', 'seed', 'mmseg_version', 'hook_msgs', 'CLASSES', 'PALETTE'];

/** Whether an object of a log is a header: it has something about the training, and nothing about an iteration. */
export function isHeader(value: Readonly<Record<string, unknown>>): boolean {
  return (
    ['mode', 'iter', 'step', 'loss'].every((key) => value[key] === undefined) &&
    HEADER_KEYS.some((key) => value[key] !== undefined)
  );
}

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

/** The header of a log without one. */
export const NO_HEADER = readHeader({});
