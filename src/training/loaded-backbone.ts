import path from 'node:path';
import { z } from 'zod';
import { loadSummarySchema } from '../network/load-summary.js';
import { readSealed, writeSealed } from '../support/json.js';

/** The backbone that a training started from. */
export const loadedBackboneSchema = z.strictObject({
  /** Name of the file, without the folder, which means nothing elsewhere. */
  file: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal'),
  loadReport: loadSummarySchema,
});
export type LoadedBackbone = z.output<typeof loadedBackboneSchema>;

/** In the run directory: a training that resumes from a checkpoint does not load the backbone again. */
const fileOf = (directory: string) => path.join(directory, 'backbone.json');

/** Notes in the run directory what the training starts from. */
export async function writeLoadedBackbone(directory: string, backbone: LoadedBackbone): Promise<void> {
  await writeSealed(fileOf(directory), backbone);
}

/** What the training of a run directory started from; undefined if that was not noted, or the note is damaged. */
export async function readLoadedBackbone(directory: string): Promise<LoadedBackbone | undefined> {
  return loadedBackboneSchema.safeParse(await readSealed(fileOf(directory))).data;
}
