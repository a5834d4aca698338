import { z } from 'zod';

const losses = z.object({ loss: z.number(), decodeLoss: z.number(), auxiliaryLoss: z.number(), accuracy: z.number() });

/** What training counts from step to step, besides the tensors. */
const progressSchema = z.object({
  /** Wall-clock seconds so far. */
  seconds: z.number(),
  /** Of 16-bit training: steps that moved nothing. */
  skippedSteps: z.int().min(0),
  /** How many of these came last, in a row. */
  skippedInARow: z.int().min(0),
  /** Exponential mean of the loss over about the last hundred steps. */
  smoothedLoss: z.number(),
  /** Names of unreadable samples that were replaced by others. */
  skippedSamples: z.array(z.string()),
  peakLiveTensorBytes: z.number(),
  peakProcessBytes: z.number(),
  /** Of the last step. */
  result: losses.extend({ learningRate: z.number() }),
  /** Sums over the steps since the last line of the log. */
  interval: losses.extend({
    steps: z.int().min(0),
    dataMilliseconds: z.number(),
    stepMilliseconds: z.number(),
    /** The highest in any of the steps. */
    peakLiveTensorBytes: z.number(),
  }),
});
export type TrainingProgress = z.output<typeof progressSchema>;

const fileSchema = z.object({ file: z.string(), bytes: z.number(), sha256: z.string() });
/** The content of a checkpoint's JSON file. */
export const checkpointSchema = z.object({
  iteration: z.int().min(0),
  weights: fileSchema,
  optimizer: fileSchema,
  /** Null if the state was saved for inspection, not for resuming. */
  progress: progressSchema.nullable(),
});

export type FileDescription = z.output<typeof fileSchema>;
export type CheckpointDescription = z.output<typeof checkpointSchema>;
