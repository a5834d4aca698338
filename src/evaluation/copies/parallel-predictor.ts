import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageView } from '../../data/image.js';
import { WorkerPool } from '../../data/workers/pool.js';
import type { SharedWeights } from '../../network/inference.js';
import { NonFiniteOutputError } from '../../network/overflow.js';
import type { ModelRecipe } from '../../recipe/experiment.js';
import { noPause, type Pause } from '../../support/pauses.js';
import { type ImagePredictor, type ImageViews, STRIP_ELEMENTS, type Strip, stripsOf } from '../inference.js';
import { type InferenceMode, inferenceWindows } from '../windows.js';
import type { ClassesTask, CopyAnswer, CopySettings, CopyTask, LogitsTask, SharedLogits, ViewLogits } from './tasks.js';

/** Milliseconds between two looks at whether the work is to end. */
const LOOK_INTERVAL = 200;

/** Images that keep all copies busy, and one more, whose windows are computed while the strips of the one before are. */
export function imagesAtATime(copies: number, viewsOfImage: number): number {
  return Math.ceil(copies / viewsOfImage) + 1;
}

interface ParallelOptions extends CopySettings {
  readonly model: ModelRecipe;
  readonly recipe: InferenceMode;
  /** Worker threads, each with an engine and the network. */
  readonly copies: number;
  /** Views of each image, mirrored ones included. */
  readonly viewsOfImage: number;
}

/** A task that waits for a worker. */
interface Waiting {
  /** Number of its image. */
  readonly image: number;
  readonly start: () => void;
}

/**
 * Predicts images with copies of an engine that uses one thread, each in a worker thread. The windows of an image's views are spread over
 * the threads, then the strips of its rows. It gives the bits that a `Predictor` with that engine gives.
 */
export class ParallelPredictor implements ImagePredictor {
  readonly atATime: number;
  /** Windows before those of later images, in order. */
  private readonly waiting: Waiting[] = [];
  private idle: number;
  private images = 0;

  private constructor(
    private readonly pool: WorkerPool<CopyTask, CopyAnswer>,
    private readonly options: ParallelOptions,
    private readonly classes: number,
  ) {
    const { copies, viewsOfImage } = options;
    this.idle = copies;
    this.atATime = imagesAtATime(copies, viewsOfImage);
  }

  /** Starts the threads, which need the network's weights next. The first prediction reports it if an engine cannot be started. */
  static start(options: ParallelOptions): ParallelPredictor {
    const { engine, model, copies } = options;
    const settings: CopySettings = { engine };
    const module = new URL('./copy-worker.js', import.meta.url);
    const pool = WorkerPool.startWithoutSharp<CopyTask, CopyAnswer>(module, copies, settings);
    return new ParallelPredictor(pool, options, model.classes);
  }

  /** Gives the threads the network's weights, before the first prediction, which reports it if they cannot take them. */
  use(weights: SharedWeights): void {
    const { model } = this.options;
    awaited(this.pool.runOnEach({ kind: 'network', model, weights }));
  }

  async predict({ size, views, flip }: ImageViews, pause: Pause = noPause, onStart?: () => void): Promise<Uint8Array> {
    const image = this.images++;
    let isStarted = false;
    const started = () => {
      if (!isStarted) onStart?.();
      isStarted = true;
    };
    const begun = views.flatMap((view) => {
      const shared = shareView(view);
      const windows = inferenceWindows(this.options.recipe, [view.height, view.width]);
      return (flip ? [false, true] : [false]).map((mirrored) => ({
        view: { height: view.height, width: view.width },
        flip: mirrored,
        windows: windows.map((window) => ({
          window,
          logits: awaited(this.logits(image, { kind: 'logits', view: shared, flip: mirrored, window }, started)),
        })),
      }));
    });
    const ready: ViewLogits[] = [];
    for (const { windows, ...view } of begun) {
      const done: ViewLogits['windows'][number][] = [];
      for (const { window, logits } of windows) done.push({ window, logits: await patiently(logits, pause) });
      ready.push({ ...view, windows: done });
    }
    const parts = this.parts(size).map((strips) => ({
      offset: strips[0]!.from * size[1],
      classes: awaited(this.stripClasses(image, { kind: 'classes', size, views: ready, strips })),
    }));
    const result = new Uint8Array(size[0] * size[1]);
    for (const { offset, classes } of parts) result.set(await patiently(classes, pause), offset);
    return result;
  }

  /** Ends the threads at once. */
  async close(): Promise<void> {
    await this.pool.close();
  }

  /** The strips of an image, in as many parts as there are threads, or fewer. */
  private parts(size: readonly [number, number]): Strip[][] {
    const strips = stripsOf(size, this.classes, STRIP_ELEMENTS.cpu);
    const length = Math.ceil(strips.length / this.options.copies);
    return Array.from({ length: Math.ceil(strips.length / length) }, (_, i) =>
      strips.slice(i * length, (i + 1) * length),
    );
  }

  private async logits(image: number, task: LogitsTask, onStart: () => void): Promise<SharedLogits> {
    const answer = await this.run(image, task, onStart);
    if (answer.kind !== 'logits') throw unexpected(answer);
    return answer.logits;
  }

  private async stripClasses(image: number, task: ClassesTask): Promise<Uint8Array> {
    const answer = await this.run(image, task);
    if (answer.kind !== 'classes') throw unexpected(answer);
    return answer.classes;
  }

  /** Gives a task to an idle worker, those of earlier images first. */
  private async run(image: number, task: CopyTask, onStart?: () => void): Promise<CopyAnswer> {
    await new Promise<void>((start) => {
      const later = this.waiting.findIndex((other) => other.image > image);
      this.waiting.splice(later === -1 ? this.waiting.length : later, 0, { image, start });
      this.startNext();
    });
    onStart?.();
    try {
      return await this.pool.run(task);
    } finally {
      this.idle++;
      this.startNext();
    }
  }

  private startNext(): void {
    if (this.idle === 0) return;
    const next = this.waiting.shift();
    if (next === undefined) return;
    this.idle--;
    next.start();
  }
}

/** The error of an overflow, or of an answer to another task. */
function unexpected(answer: CopyAnswer): Error {
  if (answer.kind === 'overflow') return new NonFiniteOutputError(answer.what, null, answer.fault);
  return new Error(`A worker answered with ${answer.kind}.`);
}

/** A view whose pixels all threads see. */
function shareView({ height, width, image }: ImageView): LogitsTask['view'] {
  const shared = new Float32Array(new SharedArrayBuffer(image.byteLength));
  shared.set(image);
  return { height, width, image: shared };
}

/** A result that is awaited later, or never if one before it fails: then its own failure says nothing new. */
function awaited<Result>(result: Promise<Result>): Promise<Result> {
  result.catch(() => {});
  return result;
}

/** A result for which this thread waits with pauses, one of which may end the waiting. */
async function patiently<Result>(result: Promise<Result>, pause: Pause): Promise<Result> {
  for (;;) {
    const isThere = await Promise.race([result.then(() => true), sleep(LOOK_INTERVAL, false, { ref: false })]);
    await pause();
    if (isThere) return result;
  }
}
