import path from 'node:path';
import { workerData } from 'node:worker_threads';
import { writeFileAtomic } from '../../support/files.js';
import type { Dataset } from '../datasets/dataset.js';
import { imitationOf } from '../generate/imitations.js';
import { makeNoiseTiles, type NoiseTiles } from '../generate/noise.js';
import { paint } from '../generate/paint.js';
import type { GenerateTask } from '../generate/plan.js';
import type { Size } from '../image.js';
import { encodeJpeg } from '../jpeg.js';
import { encodePalettePng } from '../palette.js';
import { encodePng } from '../png/write.js';
import { serve } from './serve.js';

/** What every generating worker is started with. */
export interface GenerateWorkerData {
  readonly directory: string;
  readonly dataset: Dataset;
  readonly size: Size;
  readonly seed: number;
}

/** Hardly to be told from the original, and less than half its size. */
const JPEG_QUALITY = 92;

let tiles: NoiseTiles | undefined;

serve<GenerateTask, null>(async ({ index, image, label, labelIds }) => {
  const { directory, dataset, size, seed } = workerData as GenerateWorkerData;
  tiles ??= makeNoiseTiles(seed);
  const imitation = imitationOf(dataset.id);
  const painting = paint(imitation, dataset, size, seed, index, tiles);
  const { height, width } = painting.size;
  const grey = (ids: Uint8Array) => encodePng(ids, { height, width }, { colourType: 'grey', filter: 'none', level: 1 });
  const rgb = () =>
    image.endsWith('.png')
      ? encodePng(painting.rgb, { height, width }, { colourType: 'rgb', filter: 'sub', level: 1 })
      : encodeJpeg({ height, width, data: new Uint8Array(painting.rgb.buffer) }, JPEG_QUALITY);
  const labels = () =>
    imitation.labels === 'grey'
      ? grey(painting.labels)
      : encodePalettePng(painting.labels, width, height, dataset.palette);
  const write = async (file: string, content: Promise<Buffer>) =>
    writeFileAtomic(path.join(directory, file), await content);
  await Promise.all([
    write(image, rgb()),
    write(label, labels()),
    ...(labelIds === null || painting.labelIds === null ? [] : [write(labelIds, grey(painting.labelIds))]),
  ]);
  return { result: null, transfer: [] };
});
