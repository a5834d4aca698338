import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import type { InferenceNetwork } from '../network/inference.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { Pause } from '../support/pauses.js';
import { type RowSource, resizedRows, rowsOf, type Window } from './rows.js';

/**
 * What logits may be multiplied with before they leave float32. Resizes take differences of two and averages over windows sums of
 * as many as overlap, so finite logits alone would not do.
 */
const ROOM = 2 ** 27;

/** @throws NonFiniteOutputError where one of the logits, [1, h, w, classes], is not finite, or beyond 2^101. */
async function requireFinite({ tf }: Engine, logits: Tensor4D): Promise<void> {
  // Zero times what is not finite is NaN; no finite value overflows on the way.
  const sum = tf.tidy(() => tf.sum(tf.mul(tf.mul(logits, ROOM), 0)));
  const [value] = await sum.data();
  sum.dispose();
  if (value === 0) return;
  const areFinite = (await logits.data()).every(Number.isFinite);
  throw new NonFiniteOutputError(
    'The logits',
    null,
    areFinite ? 'are beyond what sums and averages can hold' : 'are not all finite',
  );
}

/**
 * The logits of one view at the network's input size, [1, H, W, classes], computed a few rows at a time.
 *
 * Each window's logits are resized to the window's size; where windows overlap they are summed in the windows' order and
 * divided by their number. A whole map of a Cityscapes image is 160 MB (489 MB at ratio 1.75), so it is never made: what is
 * kept are the windows' logits resized along the width only, an eighth of that.
 */
export class LogitMap {
  private constructor(
    private readonly engine: Engine,
    private readonly windows: readonly {
      readonly window: Window;
      readonly logits: Tensor4D;
      readonly rows: RowSource;
    }[],
  ) {}

  /**
   * Runs the network over each window of `images`, [1, H, W, 3], which stays the caller's.
   *
   * `flip` says that the images are a mirrored view: the logits are mirrored back. What follows (resizes, mean over windows,
   * softmax) treats left and right alike, so that this gives the probabilities that are mirrored back at the end as
   * published, but mirrors an eighth of the rows and columns.
   * @throws NonFiniteOutputError
   */
  static async compute(
    engine: Engine,
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
        // A single window always is the whole image: no copy of it.
        const crop =
          windows.length === 1 ? images.clone() : tf.slice(images, [0, top, left, 0], [1, height, width, -1]);
        const small = await network.logits(crop, pause).finally(() => crop.dispose());
        try {
          await requireFinite(engine, small);
          // The same number of rows in and out: each row stays as it is.
          const resize = (x: Tensor4D) => kernels.resizeBilinear(x, [x.shape[1], width], network.alignCorners);
          logits.push(tf.tidy(() => resize(flip ? tf.reverse(small, 2) : small)));
        } finally {
          small.dispose();
        }
        await pause();
      }
    } catch (error) {
      for (const computed of logits) computed.dispose();
      throw error;
    }
    const parts = windows.map((seen, i) => {
      const window = flip ? { ...seen, left: images.shape[2] - seen.left - seen.width } : seen;
      const source = rowsOf(engine, logits[i]!);
      const rows = resizedRows(engine, source, logits[i]!.shape[1], window.height, network.alignCorners);
      return { window, logits: logits[i]!, rows };
    });
    return new LogitMap(engine, parts);
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
    for (const { logits } of this.windows) logits.dispose();
  }

  /** Rows [top, bottom), which every window covers wholly or not at all. To be called inside a tidy. */
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
