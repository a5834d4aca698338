import { createHash } from 'node:crypto';
import { UserError } from '../support/errors.js';
import { check, formatFinding } from '../support/yaml.js';
import { type Experiment, experimentSchema } from './experiment.js';
import { applyOverrides, overrideText, type RecipeValues, replaceValue, valuesOf } from './overrides.js';
import { applyProfile, checkRules, isProfile } from './profiles.js';
import { selectRow } from './select.js';
import type { Row } from './tables.js';

/** What is changed in a row's recipe. */
export interface Changes {
  readonly profile?: string;
  /** `path=value`, applied in order after the profile. */
  readonly overrides?: readonly string[];
  readonly seed?: number | undefined;
}

export interface ResolveOptions extends Changes {
  /** The row's id, or a pattern that only it matches; may be left out where `file` has one row only. */
  readonly row?: string | undefined;
  /** A table's file to read instead of those of the package. */
  readonly file?: string | undefined;
}

/** A value of an experiment that differs from the published recipe. */
export interface Deviation {
  readonly path: string;
  readonly published: unknown;
  readonly value: unknown;
}

/** Values that only say when something is written: no figure depends on them. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(['training.checkpointEvery', 'training.logEvery']);

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}

/**
 * The experiment that a row, a profile and overrides stand for.
 * @throws UserError on a wrong override, or values that do not go together: what is resolved can be written and read again.
 */
export function resolveRow(row: Row, { profile = 'full', overrides = [], seed = 0 }: Changes = {}): Experiment {
  const { id, table, published, weights, log } = row;
  const recipe = applyOverrides(applyProfile(row.recipe, profile), overrides);
  checkRules(recipe, id);
  const checked = check(experimentSchema, {
    row: id,
    table: table.name,
    profile,
    seed,
    ...recipe,
    published,
    weights,
    log,
  });
  // Cloned, since parts are shared between rows and freezing goes all the way down.
  if ('value' in checked) return freeze(structuredClone(checked.value));
  throw new UserError(`${id}: ${formatFinding(checked.finding)}`, `Correct it in ${table.file}.`);
}

/**
 * The same of a row that is still to be found.
 * @throws UserError on an unknown row or a broken file, too.
 */
export function resolve({ row, file, ...changes }: ResolveOptions): Experiment {
  return resolveRow(selectRow(row, file), changes);
}

/** What differs in the values of two recipes. */
export function differences(experiment: RecipeValues, published: RecipeValues): Deviation[] {
  const expected = valuesOf(published);
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  return [...valuesOf(experiment)]
    .filter(([path, value]) => !WITHOUT_EFFECT.has(path) && !same(value, expected.get(path)))
    .map(([path, value]) => ({ path, published: expected.get(path), value }));
}

/**
 * What differs from the recipe as published: the row's full profile without overrides. The seed is no deviation.
 * @param file The file that the experiment's row was read from, if not one of the package's.
 */
export function deviations(experiment: Experiment, file?: string): Deviation[] {
  return differences(experiment, selectRow(experiment.row, file).recipe);
}

/** What a run was made of. */
interface ChangedRun {
  readonly profile: string;
  readonly experiment: RecipeValues;
  readonly deviations: readonly Deviation[];
}

/**
 * What was changed in a recipe besides its profile, each as --set takes it (`width=32`), whoever changed it: an override, or the
 * hardware that has another 16-bit float.
 */
export function changesOf({ profile, experiment, deviations }: ChangedRun): string[] {
  const published = deviations.reduce(
    (recipe, { path, published }) => replaceValue(recipe, path, published),
    experiment,
  );
  const unchanged = isProfile(profile) ? applyProfile(published, profile) : published;
  return differences(experiment, unchanged).map(({ path, value }) => overrideText(path, value, experiment));
}

/** JSON with the keys of every object in order, so that equal data has equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** SHA-256, in hexadecimal, of the experiment as canonical JSON. */
export function hashExperiment(experiment: Experiment): string {
  return createHash('sha256').update(canonicalJson(experiment)).digest('hex');
}
