import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { ComputingEngine } from '../engines/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import type { InferenceNetwork } from '../network/inference.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { Pause } from '../support/pauses.js';
import { type RowSource, resizedRows, rowsOf } from './rows.js';
import type { Window } from './windows.js';

/**
 * Logits times this must still be finite in float32: resizes take differences of two logits, averages over windows sums of as
 * many as overlap.
 */
const ROOM = 2 ** 27;

/** @throws NonFiniteOutputError if one of the logits, [1, h, w, classes], is not finite or beyond 2^101. */
async function requireFinite({ tf }: ComputingEngine, logits: Tensor4D): Promise<void> {
  // Zero times a value that is not finite is NaN, and so is the sum.
  const sum = tf.tidy(() => tf.sum(tf.mul(tf.mul(logits, ROOM), 0)));
  const [value] = await sum.data();
  sum.dispose();
  if (value === 0) return;
  const areFinite = (await logits.data()).every(Number.isFinite);
  throw new NonFiniteOutputError(
    'The logits',
    null,
    areFinite ? 'are too large for their sums and averages' : 'are not all finite',
  );
}

/** The logits of a window of an image. */
interface WindowLogits {
  /** In the image; of a mirrored view, in the mirrored one. */
  readonly window: Window;
  /** Rows [from, to) of the logits as the network gives them, mirrored back, with columns as the window has them: [1, h, width, classes]. */
  readonly rows: RowSource;
  /** Number of these rows. */
  readonly height: number;
}

/** A view that was divided into windows. */
interface DividedView {
  readonly width: number;
  readonly flip: boolean;
  /** Of the decode head. */
  readonly alignCorners: boolean;
}

/**
 * The network's logits of one window, mirrored back if `flip`: [1, h, w, classes]. Disposes `crop`, the window's pixels.
 * @throws NonFiniteOutputError
 */
export async function windowLogits(
  engine: ComputingEngine,
  network: InferenceNetwork,
  crop: Tensor4D,
  { flip, pause }: { readonly flip: boolean; readonly pause: Pause },
): Promise<Tensor4D> {
  const logits = await network.logits(crop, pause).finally(() => crop.dispose());
  try {
    await requireFinite(engine, logits);
    return flip ? engine.tf.reverse(logits, 2) : logits.clone();
  } finally {
    logits.dispose();
  }
}

/**
 * The logits of one view at the network's input size, [1, H, W, classes], computed a few rows at a time.
 *
 * Each window's logits are resized to the window's size; overlapping windows are summed in order and divided by their number.
 * A whole map of a Cityscapes image would take 160 MB (489 MB at ratio 1.75). It is never made: only the windows' logits
 * resized along the width are kept, an eighth of that.
 */
export class LogitMap {
  private constructor(
    private readonly engine: ComputingEngine,
    private readonly windows: readonly { readonly window: Window; readonly rows: RowSource }[],
    private readonly owned: readonly Tensor4D[],
  ) {}

  /** The map of a view's windows; it owns the tensors `owned`. */
  static of(
    engine: ComputingEngine,
    { width, flip, alignCorners }: DividedView,
    windows: readonly WindowLogits[],
    owned: readonly Tensor4D[] = [],
  ): LogitMap {
    const parts = windows.map(({ window, rows, height }) => ({
      window: { ...window, left: flip ? width - window.left - window.width : window.left },
      rows: resizedRows(engine, rows, height, window.height, alignCorners),
    }));
    return new LogitMap(engine, parts, owned);
  }

  /**
   * Runs the network over each window of `images`, [1, H, W, 3], which the caller keeps owning.
   *
   * `flip` says that the images are a mirrored view: the logits are mirrored back. The original mirrors the probabilities at
   * the end instead; resizes, mean over windows and softmax treat left and right alike, so the result is the same, and this
   * mirrors an eighth of the rows and columns.
   * @throws NonFiniteOutputError
   */
  static async compute(
    engine: ComputingEngine,
    kernels: Kernels,
    network: InferenceNetwork,
    images: Tensor4D,
    windows: readonly Window[],
    { flip, pause }: { readonly flip: boolean; readonly pause: Pause },
  ): Promise<LogitMap> {
    const { tf } = engine;
    const logits: Tensor4D[] = [];
    try {
      for (const { top, left, height, width } of windows) {
        // A single window is always the whole image: no copy is needed.
        const crop =
          windows.length === 1 ? images.clone() : tf.slice(images, [0, top, left, 0], [1, height, width, -1]);
        const small = await windowLogits(engine, network, crop, { flip, pause });
        try {
          // The number of rows stays: only the columns are resized.
          logits.push(kernels.resizeBilinear(small, [small.shape[1], width], network.alignCorners));
        } finally {
          small.dispose();
        }
        await pause();
      }
    } catch (error) {
      for (const computed of logits) computed.dispose();
      throw error;
    }
    const parts = logits.map((resized, i) => ({
      window: windows[i]!,
      rows: rowsOf(engine, resized),
      height: resized.shape[1],
    }));
    return LogitMap.of(engine, { width: images.shape[2], flip, alignCorners: network.alignCorners }, parts, logits);
  }

  /** Rows [from, to): [1, to − from, W, classes], owned by the caller. */
  readonly rows: RowSource = (from, to) => {
    const { tf } = this.engine;
    return tf.tidy(() => {
      const bands = spans(
        from,
        to,
        this.windows.flatMap(({ window }) => [window.top, window.top + window.height]),
      ).map(([top, bottom]) => this.band(top, bottom));
      return bands.length === 1 ? bands[0]! : tf.concat(bands, 1);
    });
  };

  dispose(): void {
    for (const logits of this.owned) logits.dispose();
  }

  /** Rows [top, bottom), which every window covers wholly or not at all. Call it inside a tidy. */
  private band(top: number, bottom: number): Tensor4D {
    const { tf } = this.engine;
    const covering = this.windows
      .filter(({ window }) => window.top <= top && bottom <= window.top + window.height)
      .map(({ window, rows }) => ({
        ...window,
        right: window.left + window.width,
        part: rows(top - window.top, bottom - window.top),
      }));
    if (covering.length === 1) return covering[0]!.part;
    const end = Math.max(...covering.map(({ right }) => right));
    const cells = spans(
      0,
      end,
      covering.flatMap((window) => [window.left, window.right]),
    ).map(([left, right]) => {
      const parts = covering
        .filter((window) => window.left <= left && right <= window.right)
        .map((window) => tf.slice(window.part, [0, 0, left - window.left, 0], [1, bottom - top, right - left, -1]));
      const sum = parts.reduce((total, part) => tf.add(total, part));
      return parts.length === 1 ? sum : tf.div<Tensor4D>(sum, parts.length);
    });
    return tf.concat(cells, 2);
  }
}

/** [start, end) of the pieces into which `cuts` divide [from, to), in order. */
export function spans(from: number, to: number, cuts: readonly number[]): [number, number][] {
  const inside = cuts.filter((cut) => from < cut && cut < to);
  const edges = [...new Set([from, ...inside, to])].sort((a, b) => a - b);
  return edges.slice(1).map((end, i) => [edges[i]!, end]);
}
