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

/** An RGB image of 8 bits a channel: `data` is [height, width, 3]. */
export interface RgbImage extends Size {
  readonly data: Uint8Array;
}

/** One class id a pixel: `data` is [height, width]. */
export interface LabelMap extends Size {
  readonly data: Uint8Array;
}

/** The box that covers everything of that size. */
export function wholeBox({ height, width }: Size): Box {
  return { top: 0, left: 0, height, width };
}

/** Training id of a pixel that is not labelled: ignored by loss and metrics, and what labels are padded with. */
export const IGNORE_INDEX = 255;

/** A training batch, ready for the engine. */
export interface Batch {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** [count, height, width, 3], normalised RGB. */
  readonly images: Float32Array;
  /** [count, height, width], training ids, `IGNORE_INDEX` where ignored or padded. */
  readonly labels: Int32Array;
  /** The samples' names, in order. */
  readonly names: readonly string[];
}

/** One resized view of an image of the validation split, not flipped. */
export interface View {
  /** The multi-scale ratio; 1 in single-scale evaluation. */
  readonly ratio: number;
  readonly height: number;
  readonly width: number;
  /** [height, width, 3], normalised RGB. */
  readonly image: Float32Array;
}

/** An image of the validation split with its label and its views, in the order of the recipe's ratios. */
export interface EvaluationSample {
  readonly name: string;
  /** The image's own size. */
  readonly height: number;
  readonly width: number;
  /** [height, width], training ids after zero-label reduction, 255 where ignored. */
  readonly label: Uint8Array;
  readonly views: readonly View[];
}
