import { architecture } from '../network/architecture.js';
import { convolutionSizes } from '../network/complexity.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import { countWindows, type InferenceMode } from './windows.js';

type Size = readonly [height: number, width: number];

/** Memory is found by computing shapes of so many windows of a view; of more, by adding what each further one takes. */
const MOST_WINDOWS = 64;

/** Windows with larger strides, and what the recipe's own windows take beside those, in bytes. */
interface FewerWindows {
  readonly recipe: InferenceMode;
  /** Logits of the further windows, which are kept until a view is done. */
  readonly keptBytes: number;
  /** What is made of them for a strip of rows, and freed after it. */
  readonly stripBytes: number;
}

/**
 * At most about `MOST_WINDOWS` windows of each view. A stride of a few pixels makes hundreds of thousands, of equal shapes.
 * @param stripRows Rows of a view that a strip takes, at most.
 */
export function fewerWindows(
  recipe: InferenceMode,
  model: ModelRecipe,
  views: readonly Size[],
  stripRows: number,
): FewerWindows {
  const most = (mode: InferenceMode) => Math.max(...views.map((view) => countWindows(mode, view).count));
  let wider = recipe;
  while (most(wider) > MOST_WINDOWS) {
    const { cropHw, strideHw } = wider;
    const larger = strideHw!.map((stride, axis) => Math.min(cropHw![axis]!, Math.ceil(1.25 * stride)));
    if (larger.every((stride, axis) => stride === strideHw![axis])) break;
    wider = { ...wider, strideHw: larger as [number, number] };
  }
  if (wider === recipe) return { recipe, keptBytes: 0, stripBytes: 0 };
  const added = (bytes: (mode: InferenceMode, view: Size) => number) =>
    Math.max(...views.map((view) => bytes(recipe, view) - bytes(wider, view)));
  return {
    recipe: wider,
    keptBytes: added((mode, view) => keptBytes(mode, model, view)),
    stripBytes: added((mode, view) => stripBytes(mode, model, view, stripRows)),
  };
}

const FLOAT_BYTES = 4;

/** Logits of all windows of a view, resized along the width: [rows, width, classes] each. */
function keptBytes(mode: InferenceMode, model: ModelRecipe, view: Size): number {
  const { count, size } = countWindows(mode, view);
  const network = architecture(model);
  const [rows] = convolutionSizes(network, size).get(network.decodeHead.classifier.path)!;
  return FLOAT_BYTES * model.classes * count * rows * size[1];
}

/** Arrays of a window's rows that exist at once: resized along the height, cut where windows overlap, and summed. Measured: 2.9 to 3.0. */
const COPIES = 3;

/** The rows of a strip in all windows that cover them. */
function stripBytes(mode: InferenceMode, model: ModelRecipe, view: Size, stripRows: number): number {
  const { count, size } = countWindows(mode, view);
  const stride = mode.strideHw![0];
  const abreast = countWindows(mode, [size[0], view[1]]).count;
  const covering = Math.min(count / abreast, Math.ceil(size[0] / stride) + 1);
  // A strip as high as the view has all rows of all windows.
  const rows = Math.min(count * size[0], stripRows * covering * abreast);
  return COPIES * FLOAT_BYTES * model.classes * rows * size[1];
}
