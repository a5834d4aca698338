import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KernelCost } from '../measurement/kernel-costs.js';
import type { StepComparison } from '../measurement/measure.js';
import type { Check } from '../parity/check.js';
import { selectRows } from '../recipe/select.js';
import { hardwareName } from '../records/environment.js';
import type { RunRecord } from '../records/record.js';
import { packageRoot } from '../support/package.js';
import { wildcardExpression } from '../support/suggest.js';
import {
  type Asked,
  benchmarkSubject,
  type Entry,
  type MeasuredNight,
  type Measurement,
  NIGHT_PARTS,
  partOf,
  type Quantity,
} from './history.js';

/** Commands that everybody waits for; each does its whole work. */
const COMMANDS: readonly (readonly string[])[] = [['--version'], ['--help'], ['list'], ['table']];
const REPETITIONS = 9;

/** Makes a process say what processor time it took. */
const REPORTER = fileURLToPath(new URL('./report-cpu-time.cjs', import.meta.url));

/** Processor time of a Node process in `folder`, in seconds: a neighbour takes wall time from it, but hardly this. */
function cpuSecondsOf(parameters: readonly string[], folder: string): number {
  // Settings of whoever runs the night would make the commands read other folders.
  const environment = Object.entries(process.env).filter(([name]) => !/^(FCN_|NODE_OPTIONS$)/.test(name));
  const { status, error, stderr, output } = spawnSync(process.execPath, ['--require', REPORTER, ...parameters], {
    cwd: folder,
    env: Object.fromEntries(environment),
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const seconds = Number(output?.[3]);
  if (error === undefined && status === 0 && seconds > 0) return seconds;
  throw new Error(`node ${parameters.join(' ')} ended with ${status}: ${error?.message ?? stderr}`);
}

/**
 * Processor time of commands over that of a bare Node, in turn, the least of a few each: the least disturbed. They run in an
 * empty folder: what `fcn table` takes must not depend on the records that lie around.
 * @throws Error where a command fails.
 */
export function startupMeasurements(hardware: string, repetitions = REPETITIONS): Measurement[] {
  const program = path.join(packageRoot(), 'bin', 'run.js');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-startup-'));
  const least = new Map<string, number>();
  const keep = (name: string, seconds: number) => least.set(name, Math.min(least.get(name) ?? seconds, seconds));
  try {
    for (let repetition = 0; repetition < repetitions; repetition++) {
      keep('node', cpuSecondsOf(['-e', '0'], folder));
      for (const command of COMMANDS) keep(command.join(' '), cpuSecondsOf([program, ...command], folder));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return COMMANDS.map((command) => ({
    quantity: 'startup',
    subject: `fcn ${command.join(' ')}`,
    hardware,
    value: least.get(command.join(' '))! / least.get('node')!,
  }));
}

/** Stands for a difference that is no number, or for any where none is allowed: no gate lets it through. */
const BEYOND = 1e6;

/** What the record of a run says about its row. */
export function recordMeasurements(record: RunRecord): Measurement[] {
  const { row: subject, experimentHash, dataset, details } = record;
  const of = { subject, hardware: hardwareName(record.environment) };
  const { train, evaluate, 'evaluate-ms': multiScale, benchmark } = details;
  return [
    { quantity: 'recipe', ...of, value: experimentHash },
    ...(dataset === null ? [] : [{ quantity: 'data' as const, ...of, value: dataset.fingerprint }]),
    ...(train === null
      ? []
      : [
          { quantity: 'finalLoss' as const, ...of, value: train.finalLoss },
          { quantity: 'trainingTensorBytes' as const, ...of, value: train.peakLiveTensorBytes },
          { quantity: 'trainingProcessBytes' as const, ...of, value: train.peakProcessBytes },
        ]),
    ...(evaluate === null ? [] : [{ quantity: 'mIoU' as const, ...of, value: 100 * evaluate.mIoU }]),
    ...(multiScale === null ? [] : [{ quantity: 'mIoUMsFlip' as const, ...of, value: 100 * multiScale.mIoU }]),
    ...(benchmark === null
      ? []
      : [
          { quantity: 'benchmarkTensorBytes' as const, ...of, value: benchmark.memory.liveTensorBytes },
          { quantity: 'trainingShare' as const, ...of, value: benchmark.roofline.trainingShare },
          { quantity: 'inferenceShare' as const, ...of, value: benchmark.roofline.inferenceShare },
        ]),
  ];
}

/** What a run of the benchmark alone says: enough steps of a network of full width to tell a slower kernel from noise. */
export function benchmarkMeasurements({ experimentHash, environment, details }: RunRecord): Measurement[] {
  const { benchmark } = details;
  if (benchmark === null) return [];
  const of = { subject: benchmarkSubject(benchmark.trainingSizeHw), hardware: hardwareName(environment) };
  return [
    { quantity: 'recipe', ...of, value: experimentHash },
    { quantity: 'benchmarkTensorBytes', ...of, value: benchmark.memory.liveTensorBytes },
    { quantity: 'benchmarkTrainingShare', ...of, value: benchmark.roofline.trainingShare },
    { quantity: 'benchmarkInferenceShare', ...of, value: benchmark.roofline.inferenceShare },
  ];
}

/** What a training step in bfloat16 takes of one in float32. */
export function halfStepMeasurements(steps: StepComparison, hardware: string): Measurement[] {
  const of = { subject: benchmarkSubject(steps.sizeHw), hardware };
  const seconds = `${steps.halfSeconds.toPrecision(3)} s and ${steps.fullSeconds.toPrecision(3)} s`;
  return [
    { quantity: 'bf16StepTime', ...of, value: steps.timeRatio, note: seconds },
    { quantity: 'bf16StepTensorBytes', ...of, value: steps.tensorBytesRatio },
  ];
}

/** Of each kernel, its time over that of bare work. */
export function kernelMeasurements(costs: readonly KernelCost[], hardware: string): Measurement[] {
  return costs.map(({ kernel, cost }) => ({ quantity: 'kernelCost', subject: kernel, hardware, value: cost }));
}

/** How much of its tolerance a check takes: 1 is all of it. */
function partOfTolerance({ difference, tolerance }: Check): number {
  if (difference === 0) return 0;
  return Number.isFinite(difference) && tolerance > 0 ? Math.min(difference / tolerance, BEYOND) : BEYOND;
}

/** Of each case of a verification, the check that takes the most of its tolerance. */
export function parityMeasurements(checks: readonly Check[], hardware: string): Measurement[] {
  const cases = [...new Set(checks.map((check) => check.case))];
  return cases.map((subject) => {
    const worst = checks
      .filter((check) => check.case === subject)
      .reduce((a, b) => (partOfTolerance(b) > partOfTolerance(a) ? b : a));
    return {
      quantity: 'parity',
      subject,
      hardware,
      value: partOfTolerance(worst),
      note: `${worst.quantity}, at ${worst.at}`,
    };
  });
}

/** A kept record as a night of its own: what the first night is compared with. */
export function recordEntry(record: RunRecord): Entry {
  return {
    format: 1,
    at: record.startedAt,
    version: record.code.version,
    commit: record.code.commit,
    engine: record.environment.engine,
    measurements: recordMeasurements(record),
    problems: [],
    failed: [],
    accepted: null,
  };
}

/** Every part, every published row. */
export const WHOLE_NIGHT: Asked = { parts: [...NIGHT_PARTS], rows: null };

/**
 * What a night was asked for and lacks, a line each: parts and published rows of which nothing was measured, and figures that
 * earlier nights have. What failed or was left out is said elsewhere, and not missing.
 * @param past Nights that this one is compared with.
 * @param gated Quantities that a gate asks for: nobody misses others.
 */
export function missingFigures(night: MeasuredNight, past: readonly Entry[], gated: ReadonlySet<Quantity>): string[] {
  const { asked, measurements } = night;
  const measured = new Set(measurements.map(({ quantity, subject }) => `${quantity} ${subject}`));
  const lacking = new Map<string, Set<Quantity>>();
  for (const figure of past.flatMap((entry) => entry.measurements)) {
    const { quantity, subject } = figure;
    if (measured.has(`${quantity} ${subject}`) || !gated.has(quantity)) continue;
    if (!isAsked(asked, figure) || isExplained(night, figure)) continue;
    lacking.set(subject, (lacking.get(subject) ?? new Set()).add(quantity));
  }
  const before = [...lacking].map(
    ([subject, quantities]) => `${subject}: not measured, though earlier nights have it: ${[...quantities].join(', ')}`,
  );
  const parts = emptyParts(night);
  // Where there is no smoke run at all, one line is enough.
  const rows = parts.some((line) => line.startsWith('smoke: ')) ? [] : emptyRows(night, lacking);
  return [...parts, ...rows, ...before];
}

function isAsked({ parts, rows }: Asked, figure: Measurement): boolean {
  const part = partOf(figure);
  if (!parts.includes(part)) return false;
  return part !== 'smoke' || rows === null || rows.some((pattern) => wildcardExpression(pattern).test(figure.subject));
}

/** Whether a problem or a reason for leaving it out says why a figure is not there. */
function isExplained({ problems, leftOut = [] }: Entry, figure: Pick<Measurement, 'quantity' | 'subject'>): boolean {
  const part = partOf(figure);
  if (problems.some((line) => line.startsWith(`${figure.subject}: `) || line.startsWith(`${part}: `))) return true;
  return leftOut.some((left) => left.part === part && (left.quantities?.includes(figure.quantity) ?? true));
}

/** Parts of which there is nothing, and nothing says why. */
function emptyParts({ asked, measurements, problems, leftOut = [] }: MeasuredNight): string[] {
  const ofPart = (line: string) => NIGHT_PARTS.find((part) => line.startsWith(`${part}: `)) ?? 'smoke';
  const explained = new Set([
    ...measurements.map(partOf),
    ...problems.map(ofPart),
    ...leftOut.filter(({ quantities }) => quantities === undefined).map(({ part }) => part),
  ]);
  return asked.parts.filter((part) => !explained.has(part)).map((part) => `${part}: nothing was measured`);
}

/** Published rows of which there is nothing, not even in earlier nights. */
function emptyRows(night: MeasuredNight, lacking: ReadonlyMap<string, unknown>): string[] {
  const { asked, measurements } = night;
  if (!asked.parts.includes('smoke') || asked.rows !== null) return [];
  const there = new Set(measurements.map(({ subject }) => subject));
  return selectRows({ all: true })
    .map(({ id }) => id)
    .filter((row) => !there.has(row) && !lacking.has(row))
    .filter((row) => !isExplained(night, { quantity: 'recipe', subject: row }))
    .map((row) => `${row}: not measured`);
}
