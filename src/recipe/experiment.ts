import type { z } from 'zod';
import type { experimentSchema } from './schema.js';

/** What is read and never changed, to its last part. */
type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/**
 * The resolved recipe of one row: plain, frozen, JSON-able data. Made by `resolve`, hashed, stored in every run. The schema says what each
 * value means. Sizes are [height, width] if the name ends in `Hw`, [width, height] if it ends in `Wh`.
 */
export type Experiment = DeepReadonly<z.output<typeof experimentSchema>>;
export type ModelRecipe = Experiment['model'];
export type HeadRecipe = ModelRecipe['decodeHead'];
export type DataRecipe = Experiment['data'];
export type TrainingRecipe = Experiment['training'];
export type EvaluationRecipe = Experiment['evaluation'];
export type BenchmarkRecipe = Experiment['benchmark'];
/** As the table prints them: memory in GB (2^30 bytes), fps in images a second, mIoU in percent; null if it shows none. */
export type PublishedFigures = Experiment['published'];
/** What images and their gradients are stored and convolved in; parameters and statistics always are float32. */
export type Precision = TrainingRecipe['precision'];
