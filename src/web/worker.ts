import type { RgbImage } from '../data/image.js';
import { compilePixelCode, Workspace } from '../data/simd/workspace.js';
import { makeViews } from '../data/views.js';
import { WasmMemoryError } from '../engines/wasm/allocation.js';
import { GpuMemoryError, TensorTooLargeError } from '../engines/webgpu/errors.js';
import { Predictor } from '../evaluation/inference.js';
import type { WebModel } from '../export/web-model.js';
import type { Pause } from '../support/pauses.js';
import { startBrowserEngine } from './engine.js';
import type { Reply, Request } from './messages.js';
import { loadNetwork } from './network.js';

/** The part of a worker's own interface that is used here. */
const worker = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage(reply: Reply, transfer?: Transferable[]): void;
};

/** Logits that are processed at a time: 16 MB. The result does not depend on it. */
const STRIP_ELEMENTS = 2 ** 22;
/** Milliseconds of work between two looks at the messages. */
const INTERVAL = 50;

/** A newer image has come. */
class Superseded extends Error {}

type Predict = (image: RgbImage, pause: Pause) => Promise<Uint8Array<ArrayBuffer>>;

let predict: Promise<Predict> | undefined;
let newest = -1;
/** Images are computed one after the other. */
let last: Promise<void> = Promise.resolve();

worker.onmessage = ({ data: request }) => {
  if (request.kind === 'start') {
    predict = start(request.model, request.backend);
    predict.catch((error: unknown) => worker.postMessage({ kind: 'error', id: null, message: explain(error) }));
    return;
  }
  newest = request.id;
  last = last.then(() => answer(request.id, request.bitmap));
};

async function start(model: WebModel, backend: Parameters<typeof startBrowserEngine>[0]): Promise<Predict> {
  const folder = new URL('./', location.href).href;
  const started = await startBrowserEngine(backend, folder);
  const code = await fetch(new URL('pixels.wasm', folder));
  if (!code.ok) throw new Error(`pixels.wasm cannot be fetched: the server answers ${code.status}.`);
  const pixelCode = compilePixelCode(new Uint8Array(await code.arrayBuffer()));
  const network = await loadNetwork(folder, model, started, (bytes, total) =>
    worker.postMessage({ kind: 'loading', bytes, total }),
  );
  const { engine, kernels } = started;
  const recipe = model.evaluation;
  const predictor = new Predictor({ engine, kernels, network, recipe, stripElements: STRIP_ELEMENTS });
  worker.postMessage({ kind: 'ready', backend: started.backend, reason: started.reason });
  return async (image, pause) => {
    // A workspace of its own: the memory of a large image is given back.
    const workspace = pixelCode === null ? null : Workspace.create(pixelCode);
    workspace?.clear();
    const views = makeViews(image, recipe.imageScaleWh, [1], workspace);
    const labels = await predictor.predict({ size: [image.height, image.width], views, flip: false }, pause);
    return labels as Uint8Array<ArrayBuffer>;
  };
}

async function answer(id: number, bitmap: ImageBitmap): Promise<void> {
  try {
    const ready = await predict!;
    if (id !== newest) return;
    const image = pixelsOf(bitmap);
    const begin = performance.now();
    const labels = await ready(image, pauseOf(id));
    const seconds = (performance.now() - begin) / 1000;
    worker.postMessage({ kind: 'labels', id, labels, seconds }, [labels.buffer]);
  } catch (error) {
    if (!(error instanceof Superseded)) worker.postMessage({ kind: 'error', id, message: explain(error) });
  } finally {
    bitmap.close();
  }
}

/** Lets messages in now and then, and ends the work on an image when a newer one has come. */
function pauseOf(id: number): Pause {
  let lastLook = performance.now();
  return async () => {
    if (performance.now() - lastLook < INTERVAL) return;
    await new Promise((resolve) => setTimeout(resolve));
    lastLook = performance.now();
    if (id !== newest) throw new Superseded();
  };
}

/** The pixels of an image without its opacity. */
function pixelsOf(bitmap: ImageBitmap): RgbImage {
  const { height, width } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('This browser gives no access to the pixels of an image of this size.');
  context.drawImage(bitmap, 0, 0);
  const { data: rgba } = context.getImageData(0, 0, width, height);
  const data = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from]!;
    data[to + 1] = rgba[from + 1]!;
    data[to + 2] = rgba[from + 2]!;
  }
  return { height, width, data };
}

/** What went wrong, in a sentence or two. */
function explain(error: unknown): string {
  const { message } = error as Error;
  const isMemory =
    error instanceof WasmMemoryError ||
    error instanceof GpuMemoryError ||
    error instanceof TensorTooLargeError ||
    error instanceof RangeError;
  return isMemory ? `${message} Use a smaller image.` : message;
}
