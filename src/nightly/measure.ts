import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadDataset } from '../data/description.js';
import type { Size } from '../data/image.js';
import { datasetFolder } from '../data/split.js';
import { generateDataset } from '../datasets/generate/generate.js';
import type { ConvolutionMode, Engine, EngineName } from '../engines/engine.js';
import { engineStatus, startEngine, webgpuEngine } from '../engines/selection.js';
import { kernelCosts } from '../measurement/kernel-costs.js';
import { compareSteps } from '../measurement/measure.js';
import { verify } from '../parity/verify.js';
import type { Experiment } from '../recipe/experiment.js';
import { selectRow, selectRows } from '../recipe/select.js';
import type { Row } from '../recipe/tables.js';
import { captureEnvironment, codeVersion, hardwareName } from '../records/environment.js';
import { type RunRecord, STAGE_NAMES, type Stage } from '../records/record.js';
import { planRuns } from '../runs/plan.js';
import { executeSeries } from '../runs/series.js';
import { InterruptedError, UserError } from '../support/errors.js';
import type { DisplayMode } from '../terminal/display.js';
import {
  BENCHMARK_ROW,
  CAMVID_ROW,
  type LeftOut,
  type Measurement,
  NIGHT_PARTS,
  type Night,
  type NightPart,
} from './history.js';
import {
  benchmarkMeasurements,
  halfStepMeasurements,
  kernelMeasurements,
  parityMeasurements,
  recordMeasurements,
  startupMeasurements,
  webgpuMeasurements,
} from './measurements.js';

/** A step of this size takes seconds on a few cores. */
const BENCHMARK_CHANGES = [
  'data.cropHw=[256, 512]',
  'evaluation.imageScaleWh=[512, 256]',
  'benchmark.warmup=1',
  'benchmark.images=8',
  'benchmark.trainingSteps=6',
];

interface NightOptions {
  readonly parts: readonly NightPart[];
  /** Patterns of the smoke runs' rows; empty: all published rows. */
  readonly rows: readonly string[];
  readonly engine: EngineName | 'auto';
  readonly convolution: ConvolutionMode;
  /** Searched for CamVid. */
  readonly dataRoot: string;
  /** Folder for generated data, runs and their records. */
  readonly work: string;
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
  readonly say: (line: string) => void;
}

/** What has been measured so far. */
interface Findings {
  readonly measurements: Measurement[];
  readonly problems: string[];
  readonly leftOut: LeftOut[];
}

interface Context extends NightOptions {
  readonly started: Engine;
  readonly hardware: string;
  readonly smokeRows: readonly Row[];
  readonly found: Findings;
}

/**
 * Measures a night without judging it. A run or part that fails becomes a problem of the night, and the others are still measured.
 * @throws InterruptedError on abort; UserError if no published row matches or the engine cannot be started.
 */
export async function measureNight(options: NightOptions): Promise<Night> {
  const { parts, rows, signal, say } = options;
  const at = new Date().toISOString();
  const smokeRows = selectRows(rows.length === 0 ? { all: true } : { patterns: rows, published: true });
  const started = await startEngine({ engine: options.engine, convolution: options.convolution });
  const hardware = hardwareName(await captureEnvironment(started));
  const found: Findings = { measurements: [], problems: [], leftOut: [] };
  for (const part of NIGHT_PARTS.filter((name) => parts.includes(name))) {
    try {
      await MEASURE[part]({ ...options, started, hardware, smokeRows, found });
    } catch (error) {
      if (error instanceof InterruptedError || signal.aborted) throw error;
      found.problems.push(problemLine(part, error));
      // A user's mistake needs one line, a bug its stack.
      if (!(error instanceof UserError)) say((error as Error).stack ?? String(error));
    }
  }
  for (const { part, reason } of found.leftOut) say(`Left out of ${part}: ${reason}`);
  const { version, commit } = codeVersion();
  return {
    format: 1,
    at,
    version,
    commit,
    engine: started.name,
    ...found,
    asked: { parts: [...parts], rows: rows.length === 0 ? null : [...rows] },
    failed: null,
    accepted: null,
  };
}

function problemLine(what: string, error: unknown): string {
  return `${what}: ${(error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ')}`;
}

const MEASURE: Readonly<Record<NightPart, (context: Context) => Promise<void>>> = {
  async startup({ hardware, found, say }) {
    say('Timing the start of commands …');
    found.measurements.push(...startupMeasurements(hardware));
  },

  async smoke(context) {
    const { smokeRows, work, signal, say } = context;
    const dataRoot = path.join(work, 'data');
    say('Generating data sets …');
    const ids = new Set(smokeRows.map(({ recipe }) => recipe.data.dataset));
    for (const id of ids) await generateForSmoke(id, dataRoot, signal);
    await runRows(smokeRuns(smokeRows), { ...context, dataRoot }, (row) => row);
  },

  /** Left out if the data set's folder does not exist. A broken data set is a problem. */
  async camvid(context) {
    const row = selectRow(CAMVID_ROW);
    const dataset = await loadDataset(row.recipe.data.dataset);
    const folder = path.resolve(datasetFolder(dataset, context.dataRoot));
    if (existsSync(folder)) return runRows(smokeRuns([row]), context, () => 'camvid');
    context.found.leftOut.push({ part: 'camvid', reason: `${dataset.name} is not present: no folder ${folder}` });
  },

  async benchmark(context) {
    const { started, hardware, signal, found, say } = context;
    const rows = [selectRow(BENCHMARK_ROW)];
    const benchmark = { profile: 'full', overrides: BENCHMARK_CHANGES, stages: ['benchmark'] } as const;
    await runRows({ rows, ...benchmark, figures: benchmarkMeasurements }, context, () => 'benchmark');
    if (started.halfPrecision !== 'bf16') {
      const has = started.halfPrecision ?? 'float32 only';
      const reason = `no bfloat16: the ${started.name} engine on this ${started.device.toUpperCase()} has ${has}`;
      found.leftOut.push({ part: 'benchmark', quantities: ['bf16StepTime', 'bf16StepTensorBytes'], reason });
      return;
    }
    say('Training steps in bfloat16 and in float32, in turn …');
    const [full, half] = ['fp32', 'bf16'].map((precision) => benchmarkExperiment(rows, precision));
    found.measurements.push(...halfStepMeasurements(await compareSteps(started, full!, half!, signal), hardware));
  },

  async kernels({ started, hardware, signal, found, say }) {
    say('Timing kernels …');
    found.measurements.push(...kernelMeasurements(await kernelCosts(started, signal), hardware));
  },

  async parity({ engine, convolution, hardware, signal, display, found }) {
    const { checks } = await verify({ engine, convolution, signal, display });
    if (checks.length === 0) found.problems.push('parity: nothing was compared');
    found.measurements.push(...parityMeasurements(checks, hardware));
  },

  /** Left out without the engine or any adapter. A process has one engine, so this is measured by another process. */
  async webgpu({ started, signal, found, say }) {
    const leaveOut = (reason: string) => found.leftOut.push({ part: 'webgpu', reason });
    if (started.gpu !== null) return void leaveOut('it is the engine of the whole night: see parity');
    const { adapters = [], reason } = webgpuEngine(await engineStatus());
    if (adapters.length === 0) return void leaveOut(`the webgpu engine: ${reason}`);
    say('fcn verify on the webgpu engine …');
    found.measurements.push(...(await webgpuMeasurements(signal)));
  },
};

function benchmarkExperiment(rows: readonly Row[], precision: string): Experiment {
  const overrides = [...BENCHMARK_CHANGES, `training.precision=${precision}`];
  return planRuns({ rows, profile: 'full', overrides, seed: 0, repeat: 1 })[0]!.experiment;
}

interface RowRuns {
  readonly rows: readonly Row[];
  readonly profile: 'full' | 'smoke';
  readonly overrides: readonly string[];
  readonly stages: readonly Stage[];
  /** Takes the figures from a run's record. */
  readonly figures: (record: RunRecord) => Measurement[];
}

function smokeRuns(rows: readonly Row[]): RowRuns {
  return { rows, profile: 'smoke', overrides: [], stages: STAGE_NAMES, figures: recordMeasurements };
}

/** Runs rows and adds their figures. `name` makes the beginning of a problem's line from the row. */
async function runRows(
  { rows, profile, overrides, stages, figures }: RowRuns,
  { engine, convolution, dataRoot, work, signal, display, say, found }: Context,
  name: (row: string) => string,
): Promise<void> {
  const plan = planRuns({ rows, profile, overrides, seed: 0, repeat: 1 });
  const outcomes = await executeSeries({
    plan,
    stages,
    overrides,
    engine,
    deterministic: false,
    convolution,
    dataRoot,
    runs: path.join(work, 'runs'),
    results: path.join(work, 'results'),
    signal,
    display,
    checkData: 'off',
    skipBad: 0,
    force: false,
    offline: false,
    tensorboard: false,
    // An earlier night's unfinished run was made by other code.
    resume: 'never',
    keepCheckpoints: 1,
    mostSecondsLost: 300,
    saveRequested: () => false,
    note: say,
    checkedData: new Map(),
    keepGoing: true,
    onStart: ({ experiment: { row } }, i) => say(`[${i + 1}/${plan.length}] ${row}`),
    onFailure: ({ run: { experiment }, error }) => say(`failed: ${problemLine(experiment.row, error)}`),
  });
  for (const outcome of outcomes) {
    if (outcome.state === 'completed') found.measurements.push(...figures(outcome.execution.record));
    else if (outcome.state === 'interrupted') throw outcome.error;
    else if (outcome.state === 'failed') {
      found.problems.push(problemLine(name(outcome.run.experiment.row), outcome.error));
    }
  }
  if (signal.aborted) throw InterruptedError.of(signal, 'Night interrupted.');
}

/** Of 32 images 8 are for validation: as many as a smoke run evaluates. */
const IMAGES = 32;
/** An eighth of the real sizes, as the smoke profile divides scales and crops. */
const SIZES: Readonly<Record<string, Size>> = { cityscapes: { height: 128, width: 256 } };
const OTHER_SIZE: Size = { height: 96, width: 128 };

/** Generates a data set for smoke runs, the same every night. One that exists already is kept. */
async function generateForSmoke(id: string, dataRoot: string, signal: AbortSignal): Promise<void> {
  const dataset = await loadDataset(id);
  const directory = path.resolve(datasetFolder(dataset, dataRoot));
  await generateDataset({ dataset, directory, images: IMAGES, size: SIZES[id] ?? OTHER_SIZE, seed: 0, signal });
}
