import path from 'node:path';
import { workerData } from 'node:worker_threads';
import { writeFileAtomic } from '../../support/files.js';
import { toTrainingIds } from '../generate/labels.js';
import { makeNoiseTiles, type NoiseTiles } from '../generate/noise.js';
import { paintScene } from '../generate/scene.js';
import type { Size } from '../image.js';
import { encodePng } from '../png/write.js';
import { serve } from './serve.js';

/** What every generating worker is started with. */
export interface GenerateWorkerData {
  readonly directory: string;
  readonly size: Size;
  readonly seed: number;
}

/** One image: its number, and its files relative to the directory. */
export interface GenerateTask {
  readonly index: number;
  readonly image: string;
  readonly labelIds: string;
  readonly trainingIds: string;
}

let tiles: NoiseTiles | undefined;

serve<GenerateTask, null>(async ({ index, image, labelIds, trainingIds }) => {
  const { directory, size, seed } = workerData as GenerateWorkerData;
  tiles ??= makeNoiseTiles(seed);
  const { rgb, ids } = paintScene(size, seed, index, tiles);
  const labels = { colourType: 'grey', filter: 'none', level: 1 } as const;
  const write = async (file: string, png: Promise<Buffer>) => writeFileAtomic(path.join(directory, file), await png);
  await Promise.all([
    write(image, encodePng(rgb, size, { colourType: 'rgb', filter: 'sub', level: 1 })),
    write(labelIds, encodePng(ids, size, labels)),
    write(trainingIds, encodePng(toTrainingIds(ids), size, labels)),
  ]);
  return { result: null, transfer: [] };
});
