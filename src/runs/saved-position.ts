import path from 'node:path';
import { z } from 'zod';
import { STAGE_NAMES } from '../records/record.js';
import { entriesIn } from '../support/files.js';
import { readJson } from '../support/json.js';
import { newestIteration } from '../training/checkpoint-folder.js';

/** How far a run is that could be resumed now: what is saved, not what was done. */
export const savedPositionSchema = z.object({
  /** Completed stages. */
  stages: z.int().min(0),
  /** Iteration of the newest checkpoint. */
  iteration: z.int().min(0),
  /** Images of evaluations that are not complete. */
  images: z.int().min(0),
});
type SavedPosition = Readonly<z.output<typeof savedPositionSchema>>;

/** Of a run that has not begun. */
export const NOTHING_SAVED: SavedPosition = { stages: 0, iteration: 0, images: 0 };

/** Whether a later position is further on. */
export function isFurther(later: SavedPosition, before: SavedPosition): boolean {
  if (later.stages !== before.stages) return later.stages > before.stages;
  if (later.iteration !== before.iteration) return later.iteration > before.iteration;
  return later.images > before.images;
}

const positionSchema = z.object({ content: z.object({ position: z.int().min(0) }) });

/** The saved position of a run directory. A folder without a run has saved nothing. @throws UserError if it cannot be read. */
export async function savedPosition(folder: string): Promise<SavedPosition> {
  const stages = path.join(folder, 'stages');
  const names = (await entriesIn(stages)).map(({ name }) => name);
  const positions = names.filter((name) => name.endsWith('.position.json'));
  const images = await Promise.all(
    positions.map(async (name) => {
      const { data } = positionSchema.safeParse(await readJson(path.join(stages, name)));
      return data?.content.position ?? 0;
    }),
  );
  return {
    stages: STAGE_NAMES.filter((stage) => names.includes(`${stage}.json`)).length,
    iteration: (await newestIteration(path.join(folder, 'checkpoints'))) ?? 0,
    images: images.reduce((sum, count) => sum + count, 0),
  };
}
