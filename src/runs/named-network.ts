import { UserError } from '../support/errors.js';
import { chooseRecipe } from './run-recipe.js';
import { findWeights } from './weights-argument.js';

/** How a command names a network: a run, for its weights and recipe, or a row with weights. */
export interface NetworkName {
  readonly name: string;
  /** As in `findWeights`; default: those of the run. */
  readonly weights: string | undefined;
  /** Folder of the run directories. */
  readonly runs: string;
  readonly recipe: Omit<Parameters<typeof chooseRecipe>[1], 'row'>;
  readonly note: (text: string) => void;
}

type NamedNetwork = Awaited<ReturnType<typeof chooseRecipe>> & {
  readonly given: Awaited<ReturnType<typeof findWeights>>;
};

/**
 * The weights and the recipe of a network. Notes which weights of a run they are.
 * @param command The command that takes a row in place of a file, for the message: "fcn export ROW OUTPUT".
 * @throws UserError if no weights are given and the name is no run's, there are no such weights, or the recipe is wrong.
 */
export async function findNetwork(network: NetworkName, command: string): Promise<NamedNetwork> {
  const { name, weights, recipe, note } = network;
  const given = await weightsOf(network, command);
  if (given.described !== null) note(given.described);
  const row = weights === undefined ? undefined : name;
  return { given, ...(await chooseRecipe(given.run, { ...recipe, row })) };
}

async function weightsOf({ name, weights, runs }: NetworkName, command: string): ReturnType<typeof findWeights> {
  if (weights !== undefined) return findWeights(weights, runs);
  const found = await findWeights(name, runs).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      error.message,
      name.includes(':') ? error.next : `${error.next ?? ''} Or give --weights: then ${name} is the row.`.trim(),
      {
        cause: error,
      },
    );
  });
  if (found.run !== null) return found;
  throw new UserError(
    `${name} is a file of weights, which does not say of which row.`,
    `Give the row first: ${command} --weights ${name}.`,
  );
}
