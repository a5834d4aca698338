import { architecture } from '../network/architecture.js';
import { isAuxiliary, type LoadReport, matchCheckpoint } from '../network/load.js';
import { parameterSpecs } from '../network/parameters.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import { type ResolveOptions, resolve } from '../recipe/resolve.js';
import { UserError } from '../support/errors.js';
import { type Checkpoint, readCheckpoint } from '../weights/load.js';

/** The network of a recipe; null if its overrides do not fit the profile. */
function modelOf(recipe: ResolveOptions): ModelRecipe | null {
  try {
    return resolve(recipe).model;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function fits(model: ModelRecipe | null, tensors: Checkpoint['tensors']): boolean {
  if (model === null) return false;
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
  if (fits(modelOf(recipe), tensors) || !fits(modelOf({ ...recipe, profile }), tensors)) return error;
  return new UserError(error.message, `The weights fit the ${profile} profile: add --profile ${profile}.`, {
    cause: error,
  });
}
