import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { check, formatFinding } from '../support/yaml.js';

/**
 * What a night is made of, in the order in which it is measured. `smoke`: every published row in small; `camvid`: real images,
 * where they are at hand.
 */
export const NIGHT_PARTS = ['startup', 'smoke', 'camvid', 'benchmark', 'kernels', 'parity'] as const;
export type NightPart = (typeof NIGHT_PARTS)[number];

export const CAMVID_ROW = 'camvid_r18-d8';

/** Of full width; the benchmark's subject is this row at another size. */
export const BENCHMARK_ROW = 'fcn_r50-d8_512x1024_40k_cityscapes';

/** What figures of the benchmark are of. `sizeHw`: [height, width] of the crop. */
export function benchmarkSubject(sizeHw: readonly [number, number]): string {
  return `${BENCHMARK_ROW} at ${sizeHw.join('x')}`;
}

const PART_OF: Partial<Record<Quantity, NightPart>> = { kernelCost: 'kernels', parity: 'parity', startup: 'startup' };

/** The part of a night that a figure is measured in. */
export function partOf({ quantity, subject }: Pick<Measurement, 'quantity' | 'subject'>): NightPart {
  const part = PART_OF[quantity];
  if (part !== undefined) return part;
  if (subject === CAMVID_ROW) return 'camvid';
  return subject.startsWith(`${BENCHMARK_ROW} at `) ? 'benchmark' : 'smoke';
}

/**
 * What a night measures; `recipe` and `data` are hashes, everything else numbers. `bf16StepTime` and `bf16StepTensorBytes` are
 * ratios of a training step in bfloat16 to one in float32.
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
  /** What it is of: a row, a case of reference data, a command. */
  subject: z.string().min(1),
  hardware: z.string().min(1),
  value: z.union([z.number(), z.string()]),
  /** Where the figure was found, for people. */
  note: z.string().optional(),
});
export type Measurement = z.output<typeof measurementSchema>;

const askedSchema = z.strictObject({
  parts: z.array(z.enum(NIGHT_PARTS)),
  /** Patterns of the smoke runs' rows; null: every published row. */
  rows: z.array(z.string()).nullable(),
});
/** What a night was to measure: what of it is not there is missing. */
export type Asked = z.output<typeof askedSchema>;

const leftOutSchema = z.strictObject({
  part: z.enum(NIGHT_PARTS),
  /** Only these of the part's; all of them where not given. */
  quantities: z.array(z.enum(QUANTITIES)).optional(),
  reason: z.string().min(1),
});
/** What was asked for and cannot be measured on this machine, which is no problem of the code. */
export type LeftOut = z.output<typeof leftOutSchema>;

/** One night, a line of the history. */
const entrySchema = z.strictObject({
  format: z.literal(1),
  at: z.iso.datetime(),
  version: z.string(),
  commit: z.string().nullable(),
  engine: z.string(),
  measurements: z.array(measurementSchema),
  /** What failed or is missing, a line each: the row or part, a colon, what is wrong. */
  problems: z.array(z.string()),
  /** Not in nights of earlier versions. */
  asked: askedSchema.optional(),
  leftOut: z.array(leftOutSchema).optional(),
  /** Names of the gates that failed; null where nothing was judged. */
  failed: z.array(z.string()).nullable(),
  /** Why this night is what later ones are compared with; null where nobody said so. */
  accepted: z.string().nullable(),
});
export type Entry = z.output<typeof entrySchema>;

/** What was measured of a night, before it is judged. */
export type MeasuredNight = Entry & { readonly asked: Asked };

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

function parseEntry(line: string, where: string): Entry {
  let content: unknown;
  try {
    content = JSON.parse(line);
  } catch (error) {
    throw new UserError(`${where}: not JSON: ${(error as Error).message}.`, 'Remove the line.', { cause: error });
  }
  const checked = check(entrySchema, content);
  if ('value' in checked) return checked.value;
  throw new UserError(`${where}: ${formatFinding(checked.finding)}`, 'Remove the line.');
}

/**
 * Reads nights, one JSON object a line.
 * @throws UserError that names file and line of what is no night, or the file where it is not there.
 */
export function readEntries(file: string): Entry[] {
  return read(file)
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [parseEntry(line, `${file}:${i + 1}`)]));
}

/** The nights of a history; none where the file is not there yet. */
export function readHistory(file: string): Entry[] {
  return existsSync(file) ? readEntries(file) : [];
}

/** Adds a night at the end; the file is whole at any time. */
export async function appendEntry(file: string, entry: Entry): Promise<void> {
  const before = existsSync(file) ? read(file) : '';
  const separator = before === '' || before.endsWith('\n') ? '' : '\n';
  await writeFileAtomic(file, `${before}${separator}${JSON.stringify(entry)}\n`);
}

/** A part of a night and the file that it was read from. */
interface Shard {
  readonly file: string;
  readonly entry: Entry;
}

/**
 * One night of what several machines, or one after the other, measured of it.
 * @throws UserError where they do not belong together: figures of two commits or engines are no night, nor is a figure that
 * two files hold.
 */
export function joinShards(shards: readonly Shard[]): MeasuredNight {
  const [first, ...rest] = shards;
  if (first === undefined)
    throw new UserError('There are no measurements to join.', 'Give at least one file that holds some.');
  for (const { file, entry } of rest) {
    for (const key of ['commit', 'version', 'engine'] as const) {
      if (entry[key] === first.entry[key]) continue;
      throw new UserError(
        `Measurements of two nights: ${key} ${first.entry[key]} in ${first.file}, and ${entry[key]} in ${file}.`,
        'Join measurements of one commit and one engine only.',
      );
    }
  }
  refuseRepetitions(shards);
  const entries = shards.map(({ entry }) => entry);
  return {
    ...first.entry,
    measurements: entries.flatMap(({ measurements }) => measurements),
    problems: entries.flatMap(({ problems }) => problems),
    leftOut: entries.flatMap(({ leftOut = [] }) => leftOut),
    asked: joinAsked(shards),
  };
}

/** A figure that is there twice would count twice in medians, and hide which of the two is meant. */
function refuseRepetitions(shards: readonly Shard[]): void {
  const seen = new Map<string, string>();
  for (const { file, entry } of shards) {
    for (const { quantity, subject } of entry.measurements) {
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

function joinAsked(shards: readonly Shard[]): Asked {
  const asked = shards.map(({ file, entry }) => {
    if (entry.asked !== undefined) return entry.asked;
    throw new UserError(
      `${file} does not say what was to be measured.`,
      'Measure it again: fcn nightly --measure FILE.',
    );
  });
  const ofRows = asked.filter(({ parts }) => parts.includes('smoke')).map(({ rows }) => rows);
  return {
    parts: [...new Set(asked.flatMap(({ parts }) => parts))],
    rows: ofRows.includes(null) ? null : ofRows.flatMap((rows) => rows ?? []),
  };
}
