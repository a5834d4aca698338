import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import { architecture } from '../nn/architecture.js';
import { InferenceBytes } from '../nn/inference-memory.js';
import { FLOAT, Ledger } from '../nn/ledger.js';
import { STRIP_ELEMENTS, stripsOf } from './inference.js';
import { spans } from './logit-map.js';
import { rowInterpolation } from './rows.js';
import { inferenceWindows, type Window } from './windows.js';

type Size = readonly [height: number, width: number];

/** Bytes of live tensors in inference. */
export interface InferenceMemory {
  /** The folded weights. */
  readonly weightBytes: number;
  /** The largest sum at any time of an image's prediction. */
  readonly peakBytes: number;
}

export interface InferenceMemoryOptions {
  readonly experiment: Pick<Experiment, 'model' | 'training' | 'evaluation'>;
  /** The image's own size. */
  readonly size: Size;
  /** Of each view, before it is mirrored. */
  readonly views: readonly Size[];
  readonly flip: boolean;
  readonly device: Engine['device'];
  /** As of the predictor. */
  readonly stripElements?: number;
}

/**
 * Estimates the live tensors of predicting one image (`Predictor`) from sizes alone, by going through the same steps: the view,
 * the network over each window, the logits that are kept, then strip by strip the resizes, the softmax and the sum over views.
 * With the native kernels of processors; what an operation uses inside itself is left out.
 */
export function inferenceMemory(options: InferenceMemoryOptions): InferenceMemory {
  return new PredictionBytes(options).run();
}

class PredictionBytes {
  private readonly ledger = new Ledger();
  private readonly classes: number;
  private readonly alignCorners: boolean;
  private readonly network: InferenceBytes;

  constructor(private readonly options: InferenceMemoryOptions) {
    const network = architecture(options.experiment.model);
    this.classes = network.classes;
    this.alignCorners = network.alignCorners;
    this.network = new InferenceBytes(this.ledger, network, options.experiment.training.precision);
  }

  run(): InferenceMemory {
    const { ledger, options } = this;
    const { size, views, flip } = options;
    const weightBytes = this.network.weights();
    const strips = stripsOf(size, this.classes, options.stripElements ?? STRIP_ELEMENTS[options.device]);
    const several = views.length > 1 || flip;
    let first = true;
    for (const view of views) {
      for (const flipped of flip ? [false, true] : [false]) {
        this.view(view, flipped, (rows) => {
          for (const { from, to } of strips) {
            const bytes = this.map(to - from, size[1]);
            rows(from, to);
            // Classes; or the probabilities, and their sum with those of the views before.
            if (!several) ledger.touch(FLOAT * (to - from) * size[1]);
            else {
              ledger.take(bytes);
              if (!first) {
                ledger.touch(bytes);
                ledger.drop(bytes);
              }
            }
            ledger.drop(bytes);
          }
        });
        first = false;
      }
    }
    return { weightBytes, peakBytes: ledger.peak };
  }

  /** Bytes of rows of a map of classes. */
  private map(rows: number, width: number): number {
    return FLOAT * this.classes * rows * width;
  }

  /** `Predictor.withLogits`: `use` is given what takes rows of the image's own size. */
  private view([height, width]: Size, flipped: boolean, use: (rows: TakeRows) => void): void {
    const { ledger } = this;
    const { size, experiment } = this.options;
    const images = FLOAT * 3 * height * width;
    ledger.take(images);
    if (flipped) ledger.touch(images);
    const windows = inferenceWindows(experiment.evaluation, [height, width]);
    const parts = windows.map((window) => this.window(window, windows.length > 1, flipped));
    ledger.drop(images);
    const rows = this.mapRows(parts);
    const columns: TakeRows =
      width === size[1]
        ? rows
        : (from, to) => {
            rows(from, to);
            ledger.take(this.map(to - from, size[1]));
            ledger.drop(this.map(to - from, width));
          };
    use(this.resized(columns, height, size[0], size[1]));
    for (const { bytes } of parts) ledger.drop(bytes);
  }

  /** The network over a window, and its logits as wide as the window. */
  private window(window: Window, cropped: boolean, flipped: boolean): WindowBytes {
    const { ledger } = this;
    const crop = cropped ? FLOAT * 3 * window.height * window.width : 0;
    ledger.take(crop);
    const [rows, columns] = this.network.logits([window.height, window.width]);
    const small = this.map(rows, columns);
    const bytes = this.map(rows, window.width);
    if (flipped) ledger.take(small);
    ledger.take(bytes);
    ledger.drop(crop + (flipped ? 2 : 1) * small);
    const source: TakeRows = (from, to) => ledger.take(this.map(to - from, window.width));
    return { window, bytes, rows: this.resized(source, rows, window.height, window.width) };
  }

  /** `resizedRows`: takes the resized rows, and for a moment the rows that they are made of. */
  private resized(source: TakeRows, inputSize: number, outputSize: number, width: number): TakeRows {
    if (inputSize === outputSize) return source;
    const { ledger } = this;
    return (from, to) => {
      const { low, high } = rowInterpolation(inputSize, outputSize, this.alignCorners, from, to);
      const first = low[0]!;
      const end = high.at(-1)! + 1;
      source(first, end);
      const input = this.map(end - first, width);
      const bytes = this.map(to - from, width);
      ledger.take(bytes);
      // On a processor the matrix of weights, and input and output by another shape, which count as the measurement counts
      // them; on a GPU both gathered maps, their difference, and that weighted.
      const matrix = FLOAT * (to - from) * (end - first);
      ledger.touch(this.options.device === 'cpu' ? matrix + input + bytes : 4 * bytes);
      ledger.drop(input);
    };
  }

  /** `LogitMap.rows`, of which all that it makes lives until its end. */
  private mapRows(parts: readonly WindowBytes[]): TakeRows {
    const { ledger } = this;
    const width = Math.max(...parts.map(({ window }) => window.left + window.width));
    const edges = parts.flatMap(({ window }) => [window.top, window.top + window.height]);
    return (from, to) => {
      const before = ledger.live;
      const bands = spans(from, to, edges);
      for (const [top, bottom] of bands) this.band(parts, top, bottom);
      const bytes = this.map(to - from, width);
      if (bands.length > 1) ledger.take(bytes);
      ledger.drop(ledger.live - before - bytes);
    };
  }

  private band(parts: readonly WindowBytes[], top: number, bottom: number): void {
    const { ledger } = this;
    const covering = parts.filter(({ window }) => window.top <= top && bottom <= window.top + window.height);
    for (const { window, rows } of covering) rows(top - window.top, bottom - window.top);
    if (covering.length === 1) return;
    const reach = covering.map(({ window }) => [window.left, window.left + window.width] as const);
    const end = Math.max(...reach.map(([, right]) => right));
    for (const [left, right] of spans(0, end, reach.flat())) {
      const windows = reach.filter(([start, stop]) => start <= left && right <= stop).length;
      // A slice of each; where they overlap, the sums of two, three, …, and the mean.
      ledger.take((windows === 1 ? 1 : 2 * windows) * this.map(bottom - top, right - left));
    }
    ledger.take(this.map(bottom - top, end));
  }
}

/** Takes the bytes of rows [from, to) of a map of classes. */
type TakeRows = (from: number, to: number) => void;

interface WindowBytes {
  readonly window: Window;
  /** Of the logits that are kept. */
  readonly bytes: number;
  readonly rows: TakeRows;
}
