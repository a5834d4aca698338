import { z } from 'zod';

/** What a night measures; `recipe` and `data` are hashes, everything else numbers. */
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

/** One night, a line of the history. */
export const entrySchema = z.strictObject({
  format: z.literal(1),
  at: z.iso.datetime(),
  version: z.string(),
  commit: z.string().nullable(),
  engine: z.string(),
  measurements: z.array(measurementSchema),
  /** Runs that failed, a line each. */
  problems: z.array(z.string()),
  /** Names of the gates that failed; null where nothing was judged. */
  failed: z.array(z.string()).nullable(),
  /** Why this night is what later ones are compared with; null where nobody said so. */
  accepted: z.string().nullable(),
});
export type Entry = z.output<typeof entrySchema>;
