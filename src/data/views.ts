import { type ImageView, type RgbImage, wholeBox } from './image.js';
import { prepareRows } from './simd/distorted.js';
import { placeImage, resizeRows } from './simd/resized.js';
import type { Workspace } from './simd/workspace.js';
import { normalise } from './transforms/normalise.js';
import { keepRatioSize, resizeBilinear, scaleByRatio } from './transforms/resize.js';

/** An image fitted into the test scale times a ratio (whole, not padded), normalised. */
export function makeView(image: RgbImage, imageScaleWh: readonly [number, number], ratio: number): ImageView {
  const size = keepRatioSize(image, scaleByRatio(imageScaleWh, ratio));
  return { ratio, ...size, image: normalise(resizeBilinear(image, size)) };
}

/**
 * The views of an image at each ratio, as `makeView` makes them.
 * @param workspace Empty; null: without the pixel code.
 */
export function makeViews(
  image: RgbImage,
  imageScaleWh: readonly [number, number],
  ratios: readonly number[],
  workspace: Workspace | null,
): ImageView[] {
  if (workspace === null) return ratios.map((ratio) => makeView(image, imageScaleWh, ratio));
  const placed = placeImage(workspace, image);
  return ratios.map((ratio) => {
    const size = keepRatioSize(image, scaleByRatio(imageScaleWh, ratio));
    const values = new Float32Array(size.height * size.width * 3);
    const { normalised } = prepareRows(workspace, size.width, []);
    const target = workspace.reserve(size.width * 12);
    resizeRows(workspace, placed, { size, window: wholeBox(size), isMirrored: false }, (row, y) => {
      workspace.code.normalise(row, size.width, normalised, target);
      values.set(workspace.floats(target, size.width * 3), y * size.width * 3);
    });
    return { ratio, ...size, image: values };
  });
}
