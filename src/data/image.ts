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
