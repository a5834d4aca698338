import type { Palette } from '../data/image.js';
import type { InferenceMode } from '../evaluation/windows.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import type { TrainedBy } from '../records/record.js';

/** The name of the description in an exported folder. */
export const MODEL_FILE = 'model.json';

/** What makes a JSON file such a description. It changes when older pages cannot read newer ones. */
export const WEB_FORMAT = 'fcn web page 1';

/** Whether a value names such a format, of this version or another. */
export const isWebFormat = (format: unknown): boolean => /^fcn web page \d+$/.test(String(format));

/** A file of weights. */
interface WeightPart {
  /** Beside the description. */
  readonly file: string;
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** What the page must know of the network that it runs: `model.json`. */
export interface WebModel {
  readonly format: typeof WEB_FORMAT;
  /** Name and version of the program that wrote it. */
  readonly producer: string;
  readonly row: string;
  /** As the table shows them. */
  readonly method: string;
  readonly backbone: string;
  /** Names of the data set on which it was trained. */
  readonly dataset: { readonly id: string; readonly name: string };
  readonly classes: readonly string[];
  readonly palette: Palette;
  /** Of each channel, RGB: the network sees (value − mean)/std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** How images are fitted for the network, and whether it sees them whole or in windows. */
  readonly evaluation: InferenceMode & { readonly imageScaleWh: readonly [number, number] };
  readonly network: Omit<ModelRecipe, 'pretrained' | 'initialWeights' | 'reset'>;
  /** SHA-256 of the file of weights that was exported. */
  readonly weights: string;
  /** Hash of the recipe. */
  readonly recipe: string;
  /** The run that trained the weights; null if that is not known. */
  readonly trainedBy: TrainedBy | null;
  /**
   * safetensors: of each convolution, with batch norm folded in, PATH.weight, float16 [output, input, height, width], and PATH.bias,
   * float32 [output].
   */
  readonly parts: readonly WeightPart[];
}
