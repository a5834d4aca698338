import { z } from 'zod';
import { NIGHT_PARTS } from './parts.js';

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

export const measurementSchema = z.strictObject({
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
export const entrySchema = z.strictObject({
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
