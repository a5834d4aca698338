/** What a published log says of itself, in its line before the first iteration. */
export interface LogHeader {
  /** Name of the config file that was trained, without its ending; null where it is not said. */
  readonly experimentName: string | null;
  readonly seed: number | null;
  /** Engine, libraries and machine by name; empty where nothing is said. */
  readonly environment: ReadonlyMap<string, string>;
  /** Of the GPUs that were used; null where it is not said. */
  readonly gpu: { readonly name: string; readonly count: number } | null;
  /** Values of the recipe that the config in the log states, by their paths in an experiment; empty where it has none. */
  readonly recipe: ReadonlyMap<string, unknown>;
}

/** Of a log that says nothing of itself. */
export const NO_HEADER: LogHeader = {
  experimentName: null,
  seed: null,
  environment: new Map(),
  gpu: null,
  recipe: new Map(),
};

/** Of so much no reader makes use: pages of compiler flags. */
const PASSED_OVER = new Set(['PyTorch compiling details', 'CUDA_HOME']);

/** "NAME: VALUE" a line, of which indented ones go on with the one before. */
function readEnvironment(text: string): Map<string, string> {
  const lines = text.split('\n').flatMap((line): [string, string][] => {
    const match = /^(\S[^:]*): *(\S.*?)\s*$/.exec(line);
    return match === null || PASSED_OVER.has(match[1]!) ? [] : [[match[1]!, match[2]!]];
  });
  return new Map(lines);
}

/** "GPU 0,1,2,3: Tesla V100-SXM2-32GB" → that name, four times. */
function readGpu(environment: ReadonlyMap<string, string>): LogHeader['gpu'] {
  const gpus = [...environment].flatMap(([key, name]) => {
    const devices = /^GPU ([\d,]+)$/.exec(key)?.[1];
    return devices === undefined ? [] : [{ name, count: devices.split(',').length }];
  });
  return gpus[0] === undefined ? null : { name: gpus[0].name, count: gpus.reduce((sum, { count }) => sum + count, 0) };
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

function readRecipe(config: string, gpus: number | null): Map<string, unknown> {
  const stated = new Map<string, unknown>();
  for (const [path, patterns] of Object.entries(STATED)) {
    const found = patterns.map((pattern) => pattern.exec(config)).find((match) => match !== null);
    const numbers = found?.slice(1).map(Number) ?? [];
    if (numbers.length > 0 && numbers.every(Number.isFinite))
      stated.set(path, numbers.length === 1 ? numbers[0] : numbers);
  }
  const images = Number(/^data = dict\([^)]*?\bsamples_per_gpu=(\d+)/ms.exec(config)?.[1]);
  if (gpus !== null && Number.isFinite(images)) stated.set('training.batch', images * gpus);
  return stated;
}

/** Whether an object of a log is its header. */
export function isHeader(value: Readonly<Record<string, unknown>>): boolean {
  return (
    value['mode'] === undefined && ['env_info', 'exp_name', 'config'].some((key) => typeof value[key] === 'string')
  );
}

/** Reads the header of a log; what it does not say is null or empty. */
export function readHeader(value: Readonly<Record<string, unknown>>): LogHeader {
  const text = (key: string) => (typeof value[key] === 'string' ? value[key] : null);
  const seed = value['seed'];
  const environment = readEnvironment(text('env_info') ?? '');
  const gpu = readGpu(environment);
  return {
    experimentName: text('exp_name')?.replace(/\.py$/, '') ?? null,
    seed: typeof seed === 'number' ? seed : null,
    environment,
    gpu,
    recipe: readRecipe(text('config') ?? '', gpu?.count ?? null),
  };
}
