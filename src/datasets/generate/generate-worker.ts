import path from 'node:path';
import { workerData } from 'node:worker_threads';
import type { Dataset } from '../../data/dataset.js';
import type { Size } from '../../data/image.js';
import { serve } from '../../data/workers/pool.js';
import { writeFileAtomic } from '../../support/files.js';
import { makeNoiseTiles, type NoiseTiles } from './canvas.js';
import { imitationOf } from './imitations.js';
import { encode, paint } from './paint.js';
import type { GenerateTask } from './plan.js';

/** The data that each generating worker starts with. */
export interface GenerateWorkerData {
  readonly directory: string;
  readonly dataset: Dataset;
  readonly size: Size;
  readonly seed: number;
}

let tiles: NoiseTiles | undefined;

serve<GenerateTask, null>(async (task) => {
  const { directory, dataset, size, seed } = workerData as GenerateWorkerData;
  tiles ??= makeNoiseTiles(seed);
  const imitation = imitationOf(dataset.id);
  const painting = paint(imitation, dataset, size, seed, task.index, tiles);
  const painted = { painting, task, imitation, palette: dataset.palette };
  const write = async (formed: GenerateTask['files'][number]) =>
    writeFileAtomic(path.join(directory, formed.file), await encode(painted, formed));
  await Promise.all(task.files.map(write));
  return { result: null, transfer: [] };
});
