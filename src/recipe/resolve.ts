import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { UserError } from '../support/errors.js';
import { check, formatFinding } from '../support/yaml.js';
import {
  type Experiment,
  experimentSchema,
  isSection,
  type PublishedFigures,
  type Recipe,
  recipeSchema,
} from './experiment.js';
import { identifyingValue, locateFiles, withoutFolders } from './named-files.js';
import {
  applyOverrides,
  isOptional,
  overrideText,
  type RecipeSections,
  recipeValues,
  replaceValue,
  withoutUnset,
} from './overrides.js';
import { applyProfile, checkRules, isProfile } from './profiles.js';
import { selectRow } from './select.js';
import { LOCAL_TABLE, type Row } from './tables.js';

/** Changes to a row's recipe. */
export interface Changes {
  readonly profile?: string;
  /** `path=value`, applied in order after the profile. */
  readonly overrides?: readonly string[];
  readonly seed?: number | undefined;
}

export interface ResolveOptions extends Changes {
  /** The row's id, or a pattern that only it matches; not needed if `file` has only one row. */
  readonly row?: string | undefined;
  /** A table's file, instead of those of the package. */
  readonly file?: string | undefined;
}

/** A value of an experiment that differs from the published recipe. */
export interface Deviation {
  readonly path: string;
  readonly published: unknown;
  readonly value: unknown;
}

/** Values that only determine when something is written: no figure depends on them. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(['training.checkpointEvery', 'training.logEvery']);

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}

/**
 * The experiment of a row with a profile and overrides.
 * @throws UserError for a wrong override, or values that do not fit together.
 */
export function resolveRow(row: Row, { profile = 'full', overrides = [], seed = 0 }: Changes = {}): Experiment {
  const { id, table, published, weights, log } = row;
  // A path that is typed is relative to the working folder.
  const recipe = locateFiles(applyOverrides(applyProfile(row.recipe, profile), overrides), '');
  const experiment = { row: id, table: table.name, profile, seed, ...recipe, published, weights, log };
  return checkExperiment(experiment, table.file);
}

/**
 * The experiment of an earlier run with other overrides or another seed.
 * @param file Where the experiment is from, for messages.
 * @throws UserError for a wrong override, or values that do not fit together.
 */
export function changeExperiment(
  experiment: Experiment,
  { overrides = [], seed = experiment.seed }: Pick<Changes, 'overrides' | 'seed'>,
  file: string,
): Experiment {
  const recipe = Object.fromEntries(
    Object.keys(recipeSchema.shape).map((key) => [key, experiment[key as keyof Recipe]]),
  );
  return checkExperiment({ ...experiment, ...applyOverrides(recipe as unknown as Recipe, overrides), seed }, file);
}

function checkExperiment(experiment: z.input<typeof experimentSchema> | Experiment, file: string): Experiment {
  checkRules(experiment as Recipe, experiment.row);
  const checked = check(experimentSchema, experiment);
  // Cloned because rows share parts, which must not be frozen.
  if ('value' in checked) return freeze(structuredClone(withoutUnset(checked.value)));
  throw new UserError(`${experiment.row}: ${formatFinding(checked.finding)}`, `Correct it in ${file}.`);
}

/** Finds a row and resolves it. @throws UserError also for an unknown row or a broken file. */
export function resolve({ row, file, ...changes }: ResolveOptions): Experiment {
  return resolveRow(selectRow(row, file), changes);
}

/** The values that differ between two recipes and that figures may depend on. Of files, only their names are compared. */
export function differences(experiment: RecipeSections, published: RecipeSections): Deviation[] {
  return allDifferences(experiment, published).filter(({ path }) => !WITHOUT_EFFECT.has(path));
}

function allDifferences(experiment: RecipeSections, published: RecipeSections): Deviation[] {
  const [values, expected] = [recipeValues(experiment), recipeValues(published)];
  const valueAt = (recipe: ReadonlyMap<string, unknown>, path: string) =>
    isOptional(path) ? (recipe.get(path) ?? null) : recipe.get(path);
  const identity = (path: string, value: unknown) => JSON.stringify(identifyingValue(path, value));
  return [...new Set([...values.keys(), ...[...expected.keys()].filter(isOptional)])]
    .map((path) => ({ path, published: valueAt(expected, path), value: valueAt(values, path) }))
    .filter(({ path, published, value }) => identity(path, published) !== identity(path, value));
}

/**
 * The values that differ from the published recipe: the row's full profile without overrides. The seed is no deviation.
 * @param file The table's file, if it is not one of the package's.
 */
export function deviations(experiment: Experiment, file?: string): Deviation[] {
  return differences(experiment, selectRow(experiment.row, file).recipe);
}

interface ChangedRun {
  readonly profile: string;
  readonly experiment: RecipeSections;
  readonly deviations: readonly Deviation[];
}

/**
 * The changes to a recipe besides its profile, as --set takes them (`width=32`), whether by an override or because the hardware has
 * another 16-bit float.
 */
export function recipeChanges({ profile, experiment, deviations }: ChangedRun): string[] {
  const published = deviations.reduce(
    (recipe, { path, published }) => replaceValue(recipe, path, published),
    experiment,
  );
  const unchanged = isProfile(profile) ? applyProfile(published, profile) : published;
  return differences(experiment, unchanged).map(({ path, value }) =>
    overrideText(path, identifyingValue(path, value), experiment),
  );
}

/**
 * What gives an experiment from the published recipe and a profile, as --set takes it: also values that no figure depends on, but
 * that its hash does.
 */
export function overridesFrom(published: RecipeSections, experiment: Experiment): string[] {
  const unchanged = applyProfile(published, experiment.profile);
  return allDifferences(experiment, unchanged).map(({ path, value }) => overrideText(path, value, experiment));
}

/** JSON with sorted keys, so that equal data has equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isSection(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

/** SHA-256, in hexadecimal, of data as canonical JSON. */
function hashOf(data: unknown): string {
  return createHash('sha256').update(canonicalJson(data)).digest('hex');
}

const NOTHING_PUBLISHED: PublishedFigures = { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };

/**
 * What identifies an experiment: of files only the names, and of a row of no named table neither links nor published figures, as no
 * figure of a run depends on them. Those of named tables, the package's among them, count: they are in the hashes of kept records.
 */
export function identityOf(experiment: Experiment): Experiment {
  const named = withoutFolders(experiment);
  return named.table === LOCAL_TABLE ? { ...named, published: NOTHING_PUBLISHED, weights: null, log: null } : named;
}

/** SHA-256, in hexadecimal, of what identifies the experiment, as canonical JSON. */
export function hashExperiment(experiment: Experiment): string {
  return hashOf(identityOf(experiment));
}

/** Whether a recorded hash is that of the experiment. Earlier versions hashed the paths of files, or the links of all rows. */
export function isHashOf(hash: string, experiment: Experiment): boolean {
  return [identityOf(experiment), withoutFolders(experiment), experiment].some((hashed) => hashOf(hashed) === hash);
}
