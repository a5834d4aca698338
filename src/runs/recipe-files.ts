import { createHash } from 'node:crypto';
import type { Experiment } from '../recipe/experiment.js';
import { namedFiles } from '../recipe/named-files.js';
import { canonicalJson } from '../recipe/resolve.js';
import type { Stage } from '../records/record.js';
import { sha256File } from '../support/files.js';
import { splitsOf } from './preflight.js';

/**
 * Hash (SHA-256, hexadecimal) of what the files say that the recipe names and the stages need: where a data set's description finds
 * its samples, and a backbone's bytes. The recipe's own hash has only their names. Undefined if there are none.
 * @throws UserError if a file cannot be read.
 */
export async function recipeFilesHash(experiment: Experiment, stages: readonly Stage[]): Promise<string | undefined> {
  const files = namedFiles(experiment);
  const contents: Record<string, unknown> = {};
  const description = files.get('data.dataset');
  if (description !== undefined && splitsOf(stages).length > 0) {
    const { loadDataset } = await import('../data/description.js');
    const { folder, splits } = await loadDataset(description);
    contents['data.dataset'] = { folder, splits };
  }
  const backbone = (experiment.model.initialWeights ?? null) === null ? files.get('model.pretrained') : undefined;
  if (backbone !== undefined && stages.includes('train')) contents['model.pretrained'] = await sha256File(backbone);
  if (Object.keys(contents).length === 0) return undefined;
  return createHash('sha256').update(canonicalJson(contents)).digest('hex');
}
