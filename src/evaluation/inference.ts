import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { ImageView } from '../data/image.js';
import type { ComputingEngine } from '../engines/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import type { InferenceNetwork } from '../network/inference.js';
import { noPause, type Pause } from '../support/pauses.js';
import { LogitMap } from './logit-map.js';
import { type RowSource, resizedRows } from './rows.js';
import { type InferenceMode, inferenceWindows } from './windows.js';

type Size = readonly [height: number, width: number];

/** An image's views, and whether each is also predicted mirrored. */
export interface ImageViews {
  /** The image's own [height, width], also that of the result. */
  readonly size: readonly [number, number];
  readonly views: readonly ImageView[];
  readonly flip: boolean;
}

interface PredictorOptions {
  readonly engine: ComputingEngine;
  readonly kernels: Kernels;
  readonly network: InferenceNetwork;
  readonly recipe: InferenceMode;
  /** Rows are processed in strips of about this many logits; the result does not depend on it. */
  readonly stripElements?: number | undefined;
}

/** A view, mirrored if `flip`, whose logits are needed at the image's own size, [height, width]. */
interface ViewLogits {
  readonly view: ImageView;
  readonly flip: boolean;
  readonly size: readonly [number, number];
  readonly pause: Pause;
}

/** Predicts the classes of images. */
export interface ImagePredictor {
  /** How many images it should have at a time, so that it never waits for one. */
  readonly atATime: number;
  /**
   * The class of each pixel: [height, width], row-major. If `pause` throws, the prediction ends. `onStart` is called when it begins to
   * compute, if it may do so later than it is called.
   * @throws NonFiniteOutputError
   */
  predict(image: ImageViews, pause?: Pause, onStart?: () => void): Promise<Uint8Array>;
}

/** 8 MB of float32 on a CPU (near its caches); 256 MB on a GPU, where a launch costs more than memory. */
export const STRIP_ELEMENTS = { cpu: 2 ** 21, gpu: 2 ** 26 } as const;

/**
 * From an image's views to its classes, as published: logits → network input size → the image's own size (two bilinear
 * resizes, both in the decode head's alignment) → softmax → mean over views → argmax.
 *
 * From the logits on, everything runs strip by strip over the image's rows. The only full-size map of classes is the sum of
 * probabilities of several views.
 */
export class Predictor implements ImagePredictor {
  readonly atATime = 1;
  private readonly stripElements: number;

  constructor(private readonly options: PredictorOptions) {
    this.stripElements = options.stripElements ?? STRIP_ELEMENTS[options.engine.device];
  }

  /**
   * The class of each pixel: [height, width], row-major. `pause` is awaited between modules, windows, views and strips of rows;
   * if it throws, no tensor is left.
   * @throws NonFiniteOutputError
   */
  async predict(image: ImageViews, pause: Pause = noPause): Promise<Uint8Array> {
    const { kernels } = this.options;
    const [height, width] = image.size;
    const result = new Uint8Array(height * width);
    const only = image.views.length === 1 && !image.flip ? image.views[0] : undefined;
    if (only === undefined) {
      // The sum over views has the same argmax as the mean.
      await this.collect(image, result, (sum) => kernels.argmax(sum), pause);
      return result;
    }
    // One view: softmax keeps the order of the logits, so their argmax is that of the probabilities.
    const view = { view: only, flip: false, size: image.size, pause };
    await this.withLogits(view, async (rows) => {
      for (const { from, to } of this.strips(image.size)) {
        const logits = rows(from, to);
        const classes = kernels.argmax(logits);
        logits.dispose();
        result.set(await classes.data(), from * width);
        classes.dispose();
        await pause();
      }
    });
    return result;
  }

  /** The class probabilities of each pixel, averaged over the views: [height, width, classes], row-major. */
  async probabilities(image: ImageViews, pause: Pause = noPause): Promise<Float32Array> {
    const { engine, network } = this.options;
    const result = new Float32Array(image.size[0] * image.size[1] * network.classes);
    const views = image.views.length * (image.flip ? 2 : 1);
    await this.collect(image, result, (sum) => engine.tf.div(sum, views), pause);
    return result;
  }

  /** Sums the probabilities of all views and writes `finish` of each strip of the sum into `target`. */
  private async collect(
    image: ImageViews,
    target: Uint8Array | Float32Array,
    finish: (sum: Tensor4D) => ReturnType<Kernels['argmax']> | Tensor4D,
    pause: Pause,
  ): Promise<void> {
    const { engine, kernels } = this.options;
    const strips = this.strips(image.size);
    const sums: (Tensor4D | null)[] = strips.map(() => null);
    try {
      for (const view of image.views) {
        for (const flip of image.flip ? [false, true] : [false]) {
          await this.withLogits({ view, flip, size: image.size, pause }, async (rows) => {
            for (const [i, { from, to }] of strips.entries()) {
              const previous = sums[i] ?? null;
              sums[i] = engine.tf.tidy(() => {
                const probabilities = kernels.softmax(rows(from, to));
                return previous === null ? probabilities : kernels.add(previous, probabilities);
              });
              previous?.dispose();
              await pause();
            }
          });
        }
      }
      let offset = 0;
      for (const [i, sum] of sums.entries()) {
        const finished = finish(sum!);
        sum!.dispose();
        sums[i] = null;
        target.set(await finished.data(), offset);
        offset += finished.size;
        finished.dispose();
        await pause();
      }
    } finally {
      for (const sum of sums) sum?.dispose();
    }
  }

  /** Computes the logits of a view and lends `use` their rows at the image's own size, mirrored back. */
  private async withLogits(
    { view, flip, size, pause }: ViewLogits,
    use: (rows: RowSource) => Promise<void>,
  ): Promise<void> {
    const { engine, kernels, network, recipe } = this.options;
    const { tf } = engine;
    const windows = inferenceWindows(recipe, [view.height, view.width]);
    const images = tf.tidy(() => {
      const upright = tf.tensor4d(view.image, [1, view.height, view.width, 3]);
      return flip ? tf.reverse(upright, 2) : upright;
    });
    let map: LogitMap;
    try {
      map = await LogitMap.compute(engine, kernels, network, images, windows, { flip, pause });
    } finally {
      images.dispose();
    }
    try {
      await use(imageRows({ engine, kernels, alignCorners: network.alignCorners }, map.rows, view, size));
    } finally {
      map.dispose();
    }
  }

  private strips(size: Size): Strip[] {
    return stripsOf(size, this.options.network.classes, this.stripElements);
  }
}

/** Rows [from, to) of an image. */
export interface Strip {
  readonly from: number;
  readonly to: number;
}

/** The strips of an image in which `elements` logits are processed at a time, from top to bottom. */
export function stripsOf([height, width]: Size, classes: number, elements: number): Strip[] {
  const rows = Math.max(1, Math.floor(elements / (width * classes)));
  return Array.from({ length: Math.ceil(height / rows) }, (_, i) => ({
    from: i * rows,
    to: Math.min((i + 1) * rows, height),
  }));
}

/** Rows whose columns are resized to another width. The number of rows stays. */
export function resizedColumns(
  { kernels, alignCorners }: ResizeContext,
  source: RowSource,
  from: number,
  to: number,
): RowSource {
  if (from === to) return source;
  return (top, bottom) => {
    const rows = source(top, bottom);
    const resized = kernels.resizeBilinear(rows, [bottom - top, to], alignCorners);
    rows.dispose();
    return resized;
  };
}

interface ResizeContext {
  readonly engine: ComputingEngine;
  readonly kernels: Kernels;
  /** Of the decode head. */
  readonly alignCorners: boolean;
}

/** The logits of a view as rows of the image, which has `size`. */
export function imageRows(
  context: ResizeContext,
  rowsOfView: RowSource,
  { height, width }: Pick<ImageView, 'height' | 'width'>,
  size: Size,
): RowSource {
  const columns = resizedColumns(context, rowsOfView, width, size[1]);
  return resizedRows(context.engine, columns, height, size[0], context.alignCorners);
}
