/**
 * The resolved recipe of one row: plain, frozen, JSON-able data. Made by `resolve`, hashed, stored in every run.
 * Sizes are [height, width] where the name ends in `Hw`, [width, height] where it ends in `Wh`.
 */
export interface Experiment {
  /** The row's id: the published config name. */
  readonly row: string;
  /** Name of the table the row belongs to, as published ("Cityscapes"); "Local" for rows without published figures. */
  readonly table: string;
  readonly profile: string;
  readonly method: string;
  /** Backbone as the table shows it: "R-50-D8". */
  readonly backbone: string;
  readonly seed: number;
  readonly model: ModelRecipe;
  readonly data: DataRecipe;
  readonly training: TrainingRecipe;
  readonly evaluation: EvaluationRecipe;
  readonly benchmark: BenchmarkRecipe;
  readonly published: PublishedFigures;
  /** Links to the published weights and training log; null where there are none. */
  readonly weights: string | null;
  readonly log: string | null;
}

export interface ModelRecipe {
  readonly depth: 18 | 50 | 101;
  /** "deep": three 3×3 convolutions (V1c); "7x7": one 7×7 convolution ("b" rows). */
  readonly stem: 'deep' | '7x7';
  /** Base channels, 64 as published. Scales stem, stages and both heads. */
  readonly width: number;
  readonly strides: readonly [number, number, number, number];
  readonly dilations: readonly [number, number, number, number];
  readonly contractDilation: boolean;
  readonly classes: number;
  readonly alignCorners: boolean;
  readonly decodeHead: HeadRecipe;
  readonly auxiliaryHead: HeadRecipe;
  /** Name of the published ImageNet backbone, a path to a weights file, or null: from scratch. */
  readonly pretrained: string | null;
}

/** What images and their gradients are stored and convolved in; parameters and statistics always are float32. */
export type Precision = 'fp32' | 'fp16' | 'bf16';

export interface HeadRecipe {
  /** Index of the ResNet stage (0–3) whose output is the head's input. */
  readonly input: number;
  /** Channels at width 64. */
  readonly channels: number;
  readonly convolutions: number;
  readonly concatenateInput: boolean;
  readonly dilation: number;
  readonly dropout: number;
  readonly lossWeight: number;
}

export interface DataRecipe {
  /** Id of a file in datasets/. */
  readonly dataset: string;
  /** [width, height] of the training scale before the random ratio. */
  readonly imageScaleWh: readonly [number, number];
  readonly ratioRange: readonly [number, number];
  readonly cropHw: readonly [number, number];
  readonly categoryMaximumRatio: number;
  readonly flipProbability: number;
}

export interface TrainingRecipe {
  readonly iterations: number;
  /** Images of one step over all devices. */
  readonly batch: number;
  readonly learningRate: number;
  readonly minimumLearningRate: number;
  readonly power: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly precision: Precision;
  /** Static factor of the losses in 16-bit training, taken out of the gradients again; without effect in fp32. */
  readonly lossScale: number;
  /** Iterations between checkpoints. */
  readonly checkpointEvery: number;
  /** Iterations between lines of the log. */
  readonly logEvery: number;
}

export interface EvaluationRecipe {
  /** [width, height] of the test scale (keep-ratio). */
  readonly imageScaleWh: readonly [number, number];
  readonly mode: 'whole' | 'slide';
  /** Slide only: window and stride, [height, width]. */
  readonly cropHw: readonly [number, number] | null;
  readonly strideHw: readonly [number, number] | null;
  readonly ratios: readonly number[];
  /** First images of the validation split only; null: all. */
  readonly limit: number | null;
}

export interface BenchmarkRecipe {
  readonly warmup: number;
  readonly images: number;
  /** Steps of the memory measurement. */
  readonly trainingSteps: number;
  /** Images of a step of the memory measurement: what one GPU held when the published memory was measured. */
  readonly trainingBatch: number;
}

/** As the table prints them: memory in GB (2^30 bytes), fps in images a second, mIoU in percent; null where it shows none. */
export interface PublishedFigures {
  readonly memoryGB: number | null;
  readonly fps: number | null;
  readonly mIoU: number | null;
  readonly mIoUMsFlip: number | null;
}
