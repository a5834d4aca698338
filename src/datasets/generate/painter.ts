import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import type { Size } from '../../data/image.js';
import { writeFileAtomic } from '../../support/files.js';
import { makeNoiseTiles, type NoiseTiles } from './canvas.js';
import { imitationOf } from './imitations.js';
import { encode, paint } from './paint.js';
import type { GenerateTask } from './plan.js';

/** What all images of a generation share. */
export interface PainterSettings {
  readonly directory: string;
  readonly dataset: Dataset;
  readonly size: Size;
  readonly seed: number;
}

/** Paints images and writes their files: in worker threads, or in the main one if there is little to paint. */
export class Painter {
  private tiles: NoiseTiles | undefined;

  constructor(private readonly settings: PainterSettings) {}

  /** @throws UserError for a full disk or a folder that cannot be written. */
  async paint(task: GenerateTask): Promise<null> {
    const { directory, dataset, size, seed } = this.settings;
    this.tiles ??= makeNoiseTiles(seed);
    const imitation = imitationOf(dataset.id);
    const painting = paint(imitation, dataset, size, seed, task.index, this.tiles);
    const painted = { painting, task, imitation, palette: dataset.palette };
    const write = async (formed: GenerateTask['files'][number]) =>
      writeFileAtomic(path.join(directory, formed.file), await encode(painted, formed));
    await Promise.all(task.files.map(write));
    return null;
  }
}
