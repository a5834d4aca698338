import { createHash } from 'node:crypto';
import { backboneOf } from '../recipe/backbones.js';
import type { Experiment } from '../recipe/experiment.js';
import { namedFiles } from '../recipe/named-files.js';
import { type RecipeSections, replaceValue } from '../recipe/overrides.js';
import {
  canonicalJson,
  changeExperiment,
  type Deviation,
  deviations,
  differences,
  overridesFrom,
  type ResolveOptions,
  resolve,
} from '../recipe/resolve.js';
import { tablesOf } from '../recipe/select.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { sha256Once } from '../support/files.js';
import { wildcardExpression } from '../support/suggest.js';
import { splitsOf } from './preflight.js';
import type { RunReader } from './run-reader.js';

interface RecipeRequest extends ResolveOptions {
  /** Whether the profile was given, or is the default. */
  readonly isProfileGiven: boolean;
}

interface ChosenRecipe {
  readonly experiment: Experiment;
  /** From the recipe as published, or as the experiment file has it. */
  readonly deviations: readonly Deviation[];
  /** What gives the experiment from its row and profile: the run's own overrides, too. */
  readonly overrides: readonly string[];
}

/**
 * The run whose recipe a command takes with its weights: of weights that were given as a file, only if the row, the experiment file and
 * the profile that were given, if any, are the run's.
 */
export function recipeRun(
  { run, isFile }: { readonly run: RunReader | null; readonly isFile: boolean },
  { row, profile, isProfileGiven, file }: RecipeRequest,
): RunReader | null {
  if (run === null || !isFile) return run;
  const own = run.experiment();
  const isOfRow = row === undefined || wildcardExpression(row).test(own.row);
  const isOfFile = file === undefined || tablesOf(file).some(({ rows }) => rows.some(({ id }) => id === own.row));
  return isOfRow && isOfFile && !(isProfileGiven && profile !== own.profile) ? run : null;
}

/**
 * The recipe that a command works with: that of the run whose weights it was given, with the command's overrides on top; without
 * a run, that of the row.
 * @throws UserError if the row, the profile or the file is another than the run's, or an override does not fit.
 */
export async function chooseRecipe(run: RunReader | null, request: RecipeRequest): Promise<ChosenRecipe> {
  const { row, file, profile, isProfileGiven, overrides = [], seed } = request;
  if (run === null) {
    const experiment = resolve({ row, file, profile, overrides, seed });
    return { experiment, deviations: deviations(experiment, file), overrides };
  }
  const own = run.experiment();
  const name = `${run.row}/${run.id}`;
  if (row !== undefined && !wildcardExpression(row).test(own.row)) {
    throw new UserError(
      `The weights are of ${name}, but the row ${row} was given.`,
      'Leave out the row: the run has its recipe. To use the weights with another recipe, give their file.',
    );
  }
  if (isProfileGiven && profile !== own.profile) {
    throw new UserError(
      `The weights are of ${name}, a run of the ${own.profile} profile, but --profile ${profile} was given.`,
      'Leave out --profile: the run has its recipe.',
    );
  }
  const experiment = changeExperiment(own, { overrides, seed }, run.file('experiment.json'));
  const published = await publishedRecipe(run, own, file);
  return {
    experiment,
    deviations: differences(experiment, published),
    overrides: overridesFrom(published, experiment),
  };
}

/**
 * The recipe that a run's experiment deviates from: of its row, if that is in the file or the package; otherwise as the run noted
 * its deviations.
 */
async function publishedRecipe(run: RunReader, own: Experiment, file: string | undefined): Promise<RecipeSections> {
  const rows = tablesOf(file).flatMap((table) => table.rows);
  const row = rows.find(({ id, table }) => id === own.row && (file !== undefined || table.name === own.table));
  if (row !== undefined) return row.recipe;
  const name = `${run.row}/${run.id}`;
  if (file !== undefined) {
    throw new UserError(`${file} has no row ${own.row}, of which ${name} is a run.`, 'Leave out --file.');
  }
  const noted = (await run.description())?.deviations ?? run.record()?.deviations;
  if (noted !== undefined) {
    return noted.reduce<RecipeSections>((recipe, { path, published }) => replaceValue(recipe, path, published), own);
  }
  throw new UserError(
    `The run ${name} does not say from which recipe it deviates: it was begun by an earlier version and has no record.`,
    'Give its experiment file with --file.',
  );
}

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
  const backbone = backboneOf(experiment.model) === null ? undefined : files.get('model.pretrained');
  if (backbone !== undefined && stages.includes('train')) contents['model.pretrained'] = await sha256Once(backbone);
  if (Object.keys(contents).length === 0) return undefined;
  return createHash('sha256').update(canonicalJson(contents)).digest('hex');
}
