import { architecture } from '../network/architecture.js';
import { isAuxiliary, type LoadReport, matchCheckpoint } from '../network/load.js';
import { parameterSpecs } from '../network/parameters.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import { type ResolveOptions, resolve } from '../recipe/resolve.js';
import { UserError } from '../support/errors.js';
import { type Checkpoint, readCheckpoint } from '../weights/load.js';

function fits(model: ModelRecipe, tensors: Checkpoint['tensors']): boolean {
  const { missing, wrongShape }: LoadReport = matchCheckpoint(parameterSpecs(architecture(model)), tensors);
  return [...missing, ...wrongShape.map(({ path }) => path)].every(isAuxiliary);
}

/**
 * An error of loading weights. If they do not fit the network, but that of the recipe's other profile, `next` says so.
 * @param key One of the file's dictionaries of tensors; default: the only one.
 */
export async function explainMisfit(
  error: unknown,
  recipe: ResolveOptions,
  file: string,
  key?: string,
): Promise<unknown> {
  if (!(error instanceof UserError)) return error;
  const profile = recipe.profile === 'smoke' ? 'full' : 'smoke';
  const { tensors } = await readCheckpoint(file, key);
  if (fits(resolve(recipe).model, tensors) || !fits(resolve({ ...recipe, profile }).model, tensors)) return error;
  return new UserError(error.message, `The weights fit the ${profile} profile: add --profile ${profile}.`, {
    cause: error,
  });
}
