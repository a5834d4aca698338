import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../../engines/engine.js';
import { createKernels } from '../../kernels/create.js';
import type { Kernels } from '../../kernels/kernels.js';
import { architecture } from '../../network/architecture.js';
import { FoldedNetwork, type SharedWeights } from '../../network/inference.js';
import type { ModelRecipe } from '../../recipe/experiment.js';
import { noPause } from '../../support/pauses.js';
import { imageRows, resizedColumns } from '../inference.js';
import { LogitMap, windowLogits } from '../logit-map.js';
import { rowsOf } from '../rows.js';
import type { ClassesTask, LogitsTask, SharedLogits, ViewLogits } from './tasks.js';

/**
 * The network on an engine of this thread. It takes the same steps as `Predictor`, with the same strips, so it gives the same bits. Only
 * their order differs: `Predictor` adds view by view, and this strip by strip, each sum with its terms in the same order.
 */
export class EngineCopy {
  private readonly kernels: Kernels;
  private readonly network: FoldedNetwork;

  constructor(
    private readonly engine: Engine,
    model: ModelRecipe,
    weights: SharedWeights,
  ) {
    this.kernels = createKernels(engine);
    this.network = new FoldedNetwork(engine.tf, this.kernels, architecture(model), weights);
  }

  /** @throws NonFiniteOutputError */
  async logits(task: LogitsTask): Promise<SharedLogits> {
    const { tf } = this.engine;
    const { height, width } = task.window;
    const crop = tf.tidy((): Tensor4D => {
      const upright = tf.tensor4d(windowPixels(task), [1, height, width, 3]);
      return task.flip ? tf.reverse(upright, 2) : upright;
    });
    const logits = await windowLogits(this.engine, this.network, crop, { flip: task.flip, pause: noPause });
    const values = new Float32Array(new SharedArrayBuffer(4 * logits.size));
    values.set(await logits.data());
    const [, rows, columns, classes] = logits.shape;
    logits.dispose();
    return { shape: [rows, columns, classes], values };
  }

  /** The classes of the strips: [rows, width]. */
  async classes({ size, views, strips }: ClassesTask): Promise<Uint8Array> {
    const { engine, kernels } = this;
    const maps = views.map((view) => this.map(view));
    const sources = maps.map((map, i) => imageRows(this.resizing, map.rows, views[i]!.view, size));
    const [first] = sources;
    const result = new Uint8Array((strips.at(-1)!.to - strips[0]!.from) * size[1]);
    try {
      let offset = 0;
      for (const { from, to } of strips) {
        const classes = engine.tf.tidy(() => {
          // One view: softmax keeps the order of the logits. Several: the sum has the same argmax as the mean.
          if (sources.length === 1) return kernels.argmax(first!(from, to));
          let sum = kernels.softmax(first!(from, to));
          for (const rows of sources.slice(1)) {
            const before = sum;
            sum = engine.tf.tidy(() => kernels.add(before, kernels.softmax(rows(from, to))));
            before.dispose();
          }
          return kernels.argmax(sum);
        });
        result.set(await classes.data(), offset);
        offset += classes.size;
        classes.dispose();
      }
    } finally {
      for (const map of maps) map.dispose();
    }
    return result;
  }

  private get resizing() {
    return { engine: this.engine, kernels: this.kernels, alignCorners: this.network.alignCorners };
  }

  /** The map of a view whose logits are resized only as far as they are asked for: all views of the image are here at once. */
  private map({ view, flip, windows }: ViewLogits): LogitMap {
    const { engine, resizing } = this;
    const { alignCorners } = resizing;
    const tensors = windows.map(({ logits }) => engine.tf.tensor4d(logits.values, [1, ...logits.shape]));
    const parts = windows.map(({ window, logits: { shape } }, i) => ({
      window,
      rows: resizedColumns(resizing, rowsOf(engine, tensors[i]!), shape[1], window.width),
      height: shape[0],
    }));
    return LogitMap.of(engine, { width: view.width, flip, alignCorners }, parts, tensors);
  }
}

/** The pixels of a task's window, not mirrored: [height, width, 3]. */
function windowPixels({ view, flip, window: { top, left, height, width } }: LogitsTask): Float32Array {
  if (height === view.height && width === view.width) return view.image;
  const from = flip ? view.width - left - width : left;
  const pixels = new Float32Array(height * width * 3);
  for (let row = 0; row < height; row++) {
    const start = ((top + row) * view.width + from) * 3;
    pixels.set(view.image.subarray(start, start + width * 3), row * width * 3);
  }
  return pixels;
}
