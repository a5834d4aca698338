import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from '../engines/tool.js';
import type { KernelCost } from '../measurement/kernel-costs.js';
import type { StepComparison } from '../measurement/measure.js';
import type { Check } from '../parity/check.js';
import type { Verification } from '../parity/verify.js';
import { selectRows } from '../recipe/select.js';
import { hardwareName } from '../records/environment.js';
import type { RunRecord } from '../records/record.js';
import { packageRoot } from '../support/package.js';
import { wildcardExpression } from '../support/suggest.js';
import {
  type Asked,
  benchmarkSubject,
  type Measurement,
  NIGHT_PARTS,
  type Night,
  ON_WEBGPU,
  partOf,
  type Quantity,
} from './history.js';

const TIMED_COMMANDS = ['--version', '--help', 'list', 'table'];
const REPETITIONS = 9;

const CPU_TIMER = fileURLToPath(new URL('./report-cpu-time.cjs', import.meta.url));

/** Seconds of processor time of a Node process in `folder`. Other processes hardly affect it, unlike wall time. */
function cpuSecondsOf(parameters: readonly string[], folder: string): number {
  // The user's settings could make the commands read other folders.
  const environment = Object.entries(process.env).filter(([name]) => !/^(FCN_|NODE_OPTIONS$)/.test(name));
  const { status, error, stderr, output } = spawnSync(process.execPath, ['--require', CPU_TIMER, ...parameters], {
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
 * Processor time of each command divided by that of a bare Node. Each is the least of some repetitions, which take turns. The commands
 * run in an empty folder, so that the time of `fcn table` does not depend on nearby records.
 * @throws Error if a command fails.
 */
export function startupMeasurements(hardware: string, repetitions = REPETITIONS): Measurement[] {
  const program = path.join(packageRoot(), 'bin', 'run.js');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-startup-'));
  const least = new Map<string, number>();
  const keep = (name: string, seconds: number) => least.set(name, Math.min(least.get(name) ?? seconds, seconds));
  try {
    for (let repetition = 0; repetition < repetitions; repetition++) {
      keep('node', cpuSecondsOf(['-e', '0'], folder));
      for (const command of TIMED_COMMANDS) keep(command, cpuSecondsOf([program, command], folder));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return TIMED_COMMANDS.map((command) => ({
    quantity: 'startup',
    subject: `fcn ${command}`,
    hardware,
    value: least.get(command)! / least.get('node')!,
  }));
}

/** The figures of a run, except those that it did not measure. */
export function recordMeasurements(record: RunRecord): Measurement[] {
  const { row: subject, experimentHash, dataset, details } = record;
  const hardware = hardwareName(record.environment);
  const { train, evaluate, 'evaluate-ms': multiScale, benchmark } = details;
  const values: readonly (readonly [Quantity, number | string | undefined])[] = [
    ['recipe', experimentHash],
    ['data', dataset?.fingerprint],
    ['finalLoss', train?.finalLoss],
    ['trainingTensorBytes', train?.peakLiveTensorBytes],
    ['trainingProcessBytes', train?.peakProcessBytes],
    ['mIoU', evaluate === null ? undefined : 100 * evaluate.mIoU],
    ['mIoUMsFlip', multiScale === null ? undefined : 100 * multiScale.mIoU],
    ['benchmarkTensorBytes', benchmark?.memory.liveTensorBytes],
    ['trainingShare', benchmark?.roofline.trainingShare],
    ['inferenceShare', benchmark?.roofline.inferenceShare],
  ];
  return values.flatMap(([quantity, value]) => (value === undefined ? [] : [{ quantity, subject, hardware, value }]));
}

/** The figures of a run that only did the benchmark. */
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

/** Time and tensors of a training step in bfloat16, divided by those of one in float32. */
export function halfStepMeasurements(steps: StepComparison, hardware: string): Measurement[] {
  const of = { subject: benchmarkSubject(steps.sizeHw), hardware };
  const seconds = `${steps.halfSeconds.toPrecision(3)} s and ${steps.fullSeconds.toPrecision(3)} s`;
  return [
    { quantity: 'bf16StepTime', ...of, value: steps.timeRatio, note: seconds },
    { quantity: 'bf16StepTensorBytes', ...of, value: steps.tensorBytesRatio },
  ];
}

/** The time of each kernel divided by that of bare work. */
export function kernelMeasurements(costs: readonly KernelCost[], hardware: string): Measurement[] {
  return costs.map(({ kernel, cost }) => ({ quantity: 'kernelCost', subject: kernel, hardware, value: cost }));
}

/** Stands for a difference that is not finite, or for any difference if none is allowed. It fails every gate. */
const TOO_LARGE = 1e6;

/** The difference that a check found, divided by its tolerance. */
function toleranceUsed({ difference, tolerance }: Check): number {
  if (difference === 0) return 0;
  return Number.isFinite(difference) && tolerance > 0 ? Math.min(difference / tolerance, TOO_LARGE) : TOO_LARGE;
}

/** For each case of a verification, the check that uses the most of its tolerance. */
export function parityMeasurements(checks: readonly Check[], hardware: string): Measurement[] {
  const cases = [...new Set(checks.map((check) => check.case))];
  return cases.map((subject) => {
    const worst = checks
      .filter((check) => check.case === subject)
      .reduce((a, b) => (toleranceUsed(b) > toleranceUsed(a) ? b : a));
    const note = `${worst.quantity}, at ${worst.at}`;
    return { quantity: 'parity', subject, hardware, value: toleranceUsed(worst), note };
  });
}

/**
 * `parityMeasurements` of the webgpu engine, on the first GPU or else on an adapter that computes on the processor.
 * @throws Error if it compares nothing; the signal's reason on abort.
 */
export async function webgpuMeasurements(signal: AbortSignal): Promise<Measurement[]> {
  const program = path.join(packageRoot(), 'bin', 'run.js');
  const words = [program, 'verify', '--engine', 'webgpu', '--allow-software-adapter', '--json'];
  const { stdout, stderr } = await runTool(process.execPath, words, { signal });
  const { checks = [], versions = {} } = parsedOutput(stdout);
  if (checks.length === 0) throw new Error(`fcn verify compared nothing: ${stderr.trim().split('\n').at(-1)}`);
  const measured = parityMeasurements(checks, versions['adapter'] ?? 'unknown');
  return measured.map((one) => ({ ...one, subject: `${ON_WEBGPU}${one.subject}` }));
}

/** What `fcn verify --json` printed; nothing if it failed before it could compare. */
function parsedOutput(stdout: string): Partial<Pick<Verification, 'checks' | 'versions'>> {
  try {
    return JSON.parse(stdout) as Verification;
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** A kept smoke record as a night, for the first night to be compared with. */
export function nightOfRecord(record: RunRecord): Night {
  return {
    format: 1,
    at: record.startedAt,
    version: record.code.version,
    commit: record.code.commit,
    engine: record.environment.engine,
    measurements: recordMeasurements(record),
    problems: [],
    asked: { parts: ['smoke'], rows: [record.row] },
    leftOut: [],
    failed: [],
    accepted: null,
  };
}

/** Every part and every published row. */
export const WHOLE_NIGHT: Asked = { parts: [...NIGHT_PARTS], rows: null };

/**
 * What a night was asked for and lacks, one line each: parts and published rows without any measurement, and figures that earlier
 * nights have. What failed or was left out is reported elsewhere, and is not missing.
 * @param past Nights that this one is compared with.
 * @param gated Quantities of the gates. Others are not missed.
 */
export function missingFigures(night: Night, past: readonly Night[], gated: ReadonlySet<Quantity>): string[] {
  const { asked, measurements } = night;
  const measured = new Set(measurements.map(({ quantity, subject }) => `${quantity} ${subject}`));
  const lacking = new Map<string, Set<Quantity>>();
  for (const figure of past.flatMap(({ measurements }) => measurements)) {
    const { quantity, subject } = figure;
    if (measured.has(`${quantity} ${subject}`) || !gated.has(quantity)) continue;
    if (!isAsked(asked, figure) || isExplained(night, figure)) continue;
    lacking.set(subject, (lacking.get(subject) ?? new Set()).add(quantity));
  }
  const before = [...lacking].map(
    ([subject, quantities]) => `${subject}: not measured, though earlier nights have it: ${[...quantities].join(', ')}`,
  );
  const parts = emptyParts(night);
  // One line is enough if there is no smoke run at all.
  const rows = parts.some((line) => line.startsWith('smoke: ')) ? [] : emptyRows(night, lacking);
  return [...parts, ...rows, ...before];
}

function isAsked({ parts, rows }: Asked, figure: Measurement): boolean {
  const part = partOf(figure);
  if (!parts.includes(part)) return false;
  return part !== 'smoke' || rows === null || rows.some((pattern) => wildcardExpression(pattern).test(figure.subject));
}

/** Whether a problem or an omission explains why a figure is missing. */
function isExplained({ problems, leftOut }: Night, figure: Pick<Measurement, 'quantity' | 'subject'>): boolean {
  const part = partOf(figure);
  if (problems.some((line) => line.startsWith(`${figure.subject}: `) || line.startsWith(`${part}: `))) return true;
  return leftOut.some((left) => left.part === part && (left.quantities?.includes(figure.quantity) ?? true));
}

/** A line for each part without a measurement, a problem or an omission. */
function emptyParts({ asked, measurements, problems, leftOut }: Night): string[] {
  const ofPart = (line: string) => NIGHT_PARTS.find((part) => line.startsWith(`${part}: `)) ?? 'smoke';
  const explained = new Set([
    ...measurements.map(partOf),
    ...problems.map(ofPart),
    ...leftOut.filter(({ quantities }) => quantities === undefined).map(({ part }) => part),
  ]);
  return asked.parts.filter((part) => !explained.has(part)).map((part) => `${part}: nothing was measured`);
}

/** A line for each published row without a measurement, not even in earlier nights. */
function emptyRows(night: Night, lacking: ReadonlyMap<string, unknown>): string[] {
  const { asked, measurements } = night;
  if (!asked.parts.includes('smoke') || asked.rows !== null) return [];
  const measured = new Set(measurements.map(({ subject }) => subject));
  return selectRows({ all: true })
    .map(({ id }) => id)
    .filter((row) => !measured.has(row) && !lacking.has(row))
    .filter((row) => !isExplained(night, { quantity: 'recipe', subject: row }))
    .map((row) => `${row}: not measured`);
}
