import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { check, formatFinding } from '../support/yaml.js';

/** The parts of a night, in the order in which they are measured; docs/nightly.md describes them. */
export const NIGHT_PARTS = ['startup', 'smoke', 'camvid', 'benchmark', 'kernels', 'parity', 'webgpu'] as const;
export type NightPart = (typeof NIGHT_PARTS)[number];

export const CAMVID_ROW = 'camvid_r18-d8';

/** The benchmark measures this row at full width and a smaller size. */
export const BENCHMARK_ROW = 'fcn_r50-d8_512x1024_40k_cityscapes';

/** The subject of the benchmark's figures. `sizeHw`: [height, width] of the crop. */
export function benchmarkSubject(sizeHw: readonly [number, number]): string {
  return `${BENCHMARK_ROW} at ${sizeHw.join('x')}`;
}

/** Begins the subjects of the part `webgpu`: the cases of `fcn verify` on the webgpu engine, beside those of the night's own engine. */
export const ON_WEBGPU = 'webgpu: ';

const PART_OF: Partial<Record<Quantity, NightPart>> = { kernelCost: 'kernels', parity: 'parity', startup: 'startup' };

/** The part of a night that a figure is measured in. */
export function partOf({ quantity, subject }: Pick<Measurement, 'quantity' | 'subject'>): NightPart {
  if (subject.startsWith(ON_WEBGPU)) return 'webgpu';
  const part = PART_OF[quantity];
  if (part !== undefined) return part;
  if (subject === CAMVID_ROW) return 'camvid';
  return subject.startsWith(`${BENCHMARK_ROW} at `) ? 'benchmark' : 'smoke';
}

/**
 * What a night measures. `recipe` and `data` are hashes, all others numbers. `bf16StepTime` and `bf16StepTensorBytes` are ratios of
 * a training step in bfloat16 to one in float32.
 */
export const QUANTITIES = [
  'mIoU',
  'mIoUMsFlip',
  'finalLoss',
  'recipe',
  'data',
  'benchmarkTensorBytes',
  'trainingTensorBytes',
  'trainingProcessBytes',
  'trainingShare',
  'inferenceShare',
  'benchmarkTrainingShare',
  'benchmarkInferenceShare',
  'bf16StepTime',
  'bf16StepTensorBytes',
  'kernelCost',
  'parity',
  'startup',
] as const;
export type Quantity = (typeof QUANTITIES)[number];

const measurementSchema = z.strictObject({
  quantity: z.enum(QUANTITIES),
  /** What was measured: a row, a case of the reference set, a kernel, a command. */
  subject: z.string().min(1),
  hardware: z.string().min(1),
  value: z.union([z.number(), z.string()]),
  /** Details for the reader of a failure. */
  note: z.string().optional(),
});
export type Measurement = z.output<typeof measurementSchema>;

const askedSchema = z.strictObject({
  parts: z.array(z.enum(NIGHT_PARTS)),
  /** Patterns of the smoke runs' rows; null: every published row. */
  rows: z.array(z.string()).nullable(),
});
/** What a night was asked to measure. */
export type Asked = z.output<typeof askedSchema>;

const leftOutSchema = z.strictObject({
  part: z.enum(NIGHT_PARTS),
  /** Default: all quantities of the part. */
  quantities: z.array(z.enum(QUANTITIES)).optional(),
  reason: z.string().min(1),
});
/** What was asked for but cannot be measured on this machine. It is not a problem of the code. */
export type LeftOut = z.output<typeof leftOutSchema>;

const nightSchema = z.strictObject({
  format: z.literal(1),
  at: z.iso.datetime(),
  version: z.string(),
  commit: z.string().nullable(),
  engine: z.string(),
  measurements: z.array(measurementSchema),
  /** What failed or is missing, one line each: the row or part, a colon, what is wrong. */
  problems: z.array(z.string()),
  asked: askedSchema,
  leftOut: z.array(leftOutSchema),
  /** Names of the gates that failed; null if the night has not been judged yet. */
  failed: z.array(z.string()).nullable(),
  /** The reason for which later nights are compared with this one; null if it was not accepted. */
  accepted: z.string().nullable(),
});
/** One night, or a shard of one: a line of the history or of a file of measurements. */
export type Night = z.output<typeof nightSchema>;

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

function parseNight(line: string, place: string): Night {
  let content: unknown;
  try {
    content = JSON.parse(line);
  } catch (error) {
    throw new UserError(`${place}: not JSON: ${(error as Error).message}.`, 'Remove the line.', { cause: error });
  }
  const checked = check(nightSchema, content);
  if ('value' in checked) return checked.value;
  throw new UserError(`${place}: ${formatFinding(checked.finding)}`, 'Remove the line.');
}

/** Reads one JSON object a line. @throws UserError if the file does not exist or a line is not a night; it names file and line. */
export function readNights(file: string): Night[] {
  return read(file)
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [parseNight(line, `${file}:${i + 1}`)]));
}

/** The nights of a history, oldest first; empty if the file does not exist yet. */
export function readNightHistory(file: string): Night[] {
  return existsSync(file) ? readNights(file) : [];
}

/** Adds a night at the end. The file is replaced atomically. */
export async function appendNight(file: string, night: Night): Promise<void> {
  const before = existsSync(file) ? read(file) : '';
  const separator = before === '' || before.endsWith('\n') ? '' : '\n';
  await writeFileAtomic(file, `${before}${separator}${JSON.stringify(night)}\n`);
}

/** A part of a night, and the file that it was read from. */
interface Shard {
  readonly file: string;
  readonly night: Night;
}

/**
 * One night made of its shards.
 * @throws UserError if there are none, two commits, versions or engines, or a figure that two shards hold.
 */
export function joinShards(shards: readonly Shard[]): Night {
  const [first, ...rest] = shards;
  if (first === undefined)
    throw new UserError('There are no measurements to join.', 'Give at least one file that holds some.');
  for (const { file, night } of rest) {
    for (const key of ['commit', 'version', 'engine'] as const) {
      if (night[key] === first.night[key]) continue;
      throw new UserError(
        `Measurements of two nights: ${key} ${first.night[key]} in ${first.file}, and ${night[key]} in ${file}.`,
        'Join measurements of one commit and one engine only.',
      );
    }
  }
  refuseRepetitions(shards);
  const nights = shards.map(({ night }) => night);
  const asked = nights.map(({ asked }) => asked);
  const rows = asked.flatMap((one) => (one.parts.includes('smoke') ? [one.rows] : []));
  return {
    ...first.night,
    measurements: nights.flatMap(({ measurements }) => measurements),
    problems: nights.flatMap(({ problems }) => problems),
    leftOut: nights.flatMap(({ leftOut }) => leftOut),
    asked: {
      parts: [...new Set(asked.flatMap(({ parts }) => parts))],
      rows: rows.includes(null) ? null : rows.flatMap((patterns) => patterns ?? []),
    },
  };
}

/** A repeated figure would count twice in medians, and which of the two is right would be unknown. */
function refuseRepetitions(shards: readonly Shard[]): void {
  const seen = new Map<string, string>();
  for (const { file, night } of shards) {
    for (const { quantity, subject } of night.measurements) {
      const figure = `${quantity} of ${subject}`;
      const before = seen.get(figure);
      if (before !== undefined) {
        const where = before === file ? `twice in ${file}` : `in ${before} and in ${file}`;
        throw new UserError(`${figure} is ${where}.`, 'Give each file once, and each row to one shard.');
      }
      seen.set(figure, file);
    }
  }
}
