/** Size in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** A rectangle of pixels: rows `top` … `top + height − 1`, columns `left` … `left + width − 1`. */
export interface Box extends Size {
  readonly top: number;
  readonly left: number;
}

/** The box that covers an image of this size. */
export function wholeBox({ height, width }: Size): Box {
  return { top: 0, left: 0, height, width };
}

/** The most pixels of an image that is decoded: sharp's limit, 16383². */
export const MAX_PIXELS = 0x3fff ** 2;

/** An RGB image of 8 bits a channel: `data` is [height, width, 3]. */
export interface RgbImage extends Size {
  readonly data: Uint8Array;
}

/** RGB colours, one for each class id. */
export type Palette = readonly (readonly [red: number, green: number, blue: number])[];

/** One class id a pixel: `data` is [height, width]. */
export interface LabelMap extends Size {
  readonly data: Uint8Array;
}

/** Training id of an unlabelled pixel. Loss and metrics ignore it, and labels are padded with it. */
export const IGNORE_INDEX = 255;

/** A training batch. */
export interface Batch extends Size {
  readonly count: number;
  /** [count, height, width, 3], normalised RGB. */
  readonly images: Float32Array;
  /** [count, height, width], training ids; `IGNORE_INDEX` if ignored or padded. */
  readonly labels: Int32Array;
  /** The samples' names, in order. */
  readonly names: readonly string[];
}

/** An image resized for evaluation, not flipped. */
export interface ImageView extends Size {
  /** The multi-scale ratio; 1 in single-scale evaluation. */
  readonly ratio: number;
  /** [height, width, 3], normalised RGB. */
  readonly image: Float32Array;
}

/** An image of the validation split, in its own size, with its label and a view for each ratio of the recipe. */
export interface EvaluationSample extends Size {
  readonly name: string;
  /** [height, width], training ids after zero-label reduction; `IGNORE_INDEX` if ignored. */
  readonly label: Uint8Array;
  readonly views: readonly ImageView[];
}
