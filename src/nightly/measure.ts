import path from 'node:path';
import { kernelCosts } from '../benchmark/kernel-costs.js';
import type { EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/start.js';
import type { Row } from '../experiments/load.js';
import { selectRow, selectRows } from '../experiments/select.js';
import { codeVersion } from '../runs/code-version.js';
import type { DisplayMode } from '../runs/display.js';
import { captureEnvironment, hardwareName } from '../runs/environment.js';
import { planRuns } from '../runs/plan.js';
import { requireDataset } from '../runs/preflight.js';
import type { RunRecord } from '../runs/record.js';
import { executeSeries } from '../runs/series.js';
import { STAGE_NAMES, type Stage } from '../runs/stage-names.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { verify } from '../verify/verify.js';
import { paintDatasets } from './data.js';
import type { Entry, Measurement } from './entry.js';
import { benchmarkMeasurements, kernelMeasurements, parityMeasurements, recordMeasurements } from './measurements.js';
import { startupMeasurements } from './startup.js';

/** What a night is made of. `smoke`: every row in small; `camvid`: real images, where they are at hand. */
export const NIGHT_PARTS = ['smoke', 'camvid', 'benchmark', 'kernels', 'parity', 'startup'] as const;
export type NightPart = (typeof NIGHT_PARTS)[number];

const CAMVID_ROW = 'camvid_r18-d8';

/** Of full width, at a size at which a step takes seconds on a few cores. */
const BENCHMARK_ROW = 'fcn_r50-d8_512x1024_40k_cityscapes';
const BENCHMARK_CHANGES = [
  'data.cropHw=[256, 512]',
  'evaluation.imageScaleWh=[512, 256]',
  'benchmark.warmup=1',
  'benchmark.images=8',
  'benchmark.trainingSteps=6',
];

export interface NightOptions {
  readonly parts: readonly NightPart[];
  /** Of the smoke runs; all published rows where empty. */
  readonly rows: readonly string[];
  readonly engine: EngineName | 'auto';
  /** Where CamVid may lie. */
  readonly dataRoot: string;
  /** Folder for painted data, runs and their records. */
  readonly work: string;
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
  readonly say: (line: string) => void;
}

/**
 * Measures a night: nothing is judged, and a run that fails is a problem of the night and not its end.
 * @throws InterruptedError on abort; UserError where a row is unknown or the engine cannot be started.
 */
export async function measureNight(options: NightOptions): Promise<Entry> {
  const { parts, signal, display, say } = options;
  const at = new Date().toISOString();
  const measurements: Measurement[] = [];
  const problems: string[] = [];
  const engine = await startEngine({ engine: options.engine });
  const hardware = hardwareName(await captureEnvironment(engine));
  if (parts.includes('startup')) measurements.push(...startupMeasurements(hardware));
  if (parts.includes('smoke')) {
    const { rows: patterns } = options;
    const rows = selectRows(patterns.length === 0 ? { all: true } : { patterns });
    const dataRoot = path.join(options.work, 'data');
    say('Painting data sets …');
    await paintDatasets(
      rows.map(({ recipe }) => recipe.data.dataset),
      dataRoot,
      signal,
    );
    await runRows(inSmall(rows), { ...options, dataRoot }, measurements, problems);
  }
  if (parts.includes('camvid')) await runCamvid(options, measurements, problems);
  if (parts.includes('benchmark')) {
    const rows = [selectRow(BENCHMARK_ROW)];
    const benchmark = { profile: 'full', overrides: BENCHMARK_CHANGES, stages: ['benchmark'] } as const;
    await runRows({ rows, ...benchmark, figures: benchmarkMeasurements }, options, measurements, problems);
  }
  if (parts.includes('kernels')) {
    say('Timing kernels …');
    measurements.push(...kernelMeasurements(await kernelCosts(engine, signal), hardware));
  }
  if (parts.includes('parity')) {
    const { checks, passed } = await verify({ engine: options.engine, signal, display });
    measurements.push(...parityMeasurements(checks, hardware));
    if (!passed && checks.length === 0) problems.push('parity: nothing was compared');
  }
  const { version, commit } = codeVersion();
  return {
    format: 1,
    at,
    version,
    commit,
    engine: engine.name,
    measurements,
    problems,
    failed: null,
    accepted: null,
  };
}

async function runCamvid(options: NightOptions, measurements: Measurement[], problems: string[]): Promise<void> {
  const row = selectRow(CAMVID_ROW);
  const [planned] = planRuns({ rows: [row], profile: 'smoke', overrides: [], seed: 0, repeat: 1 });
  try {
    await requireDataset(planned!.experiment, STAGE_NAMES, options.dataRoot);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    options.say(`CamVid is left out: ${error.message}`);
    return;
  }
  await runRows(inSmall([row]), options, measurements, problems);
}

/** How rows are run, and what is taken from their records. */
interface RowRuns {
  readonly rows: readonly Row[];
  readonly profile: 'full' | 'smoke';
  readonly overrides: readonly string[];
  readonly stages: readonly Stage[];
  readonly figures: (record: RunRecord) => Measurement[];
}

function inSmall(rows: readonly Row[]): RowRuns {
  return { rows, profile: 'smoke', overrides: [], stages: STAGE_NAMES, figures: recordMeasurements };
}

/** Runs rows and adds what they measured. */
async function runRows(
  { rows, profile, overrides, stages, figures }: RowRuns,
  { engine, dataRoot, work, signal, display, say }: NightOptions,
  measurements: Measurement[],
  problems: string[],
): Promise<void> {
  const plan = planRuns({ rows, profile, overrides, seed: 0, repeat: 1 });
  const outcomes = await executeSeries({
    plan,
    stages,
    overrides,
    engine,
    deterministic: false,
    dataRoot,
    runs: path.join(work, 'runs'),
    results: path.join(work, 'results'),
    signal,
    display,
    checkData: 'off',
    skipBad: 0,
    force: false,
    tensorboard: false,
    resume: 'unfinished',
    keepCheckpoints: 1,
    mostSecondsLost: 300,
    saveRequested: () => false,
    note: say,
    checkedData: new Map(),
    keepGoing: true,
    onStart: ({ experiment: { row } }, i) => say(`[${i + 1}/${plan.length}] ${row}`),
  });
  for (const outcome of outcomes) {
    if (outcome.state === 'completed') measurements.push(...figures(outcome.execution.record));
    else if (outcome.state === 'interrupted') throw outcome.error;
    else if (outcome.state === 'failed') {
      problems.push(`${outcome.run.experiment.row}: ${(outcome.error as Error).message}`);
    }
  }
  if (signal.aborted) throw new InterruptedError('Night interrupted.');
}
