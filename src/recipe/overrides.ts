import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { alternatives, leastRemote, remoteness } from '../support/suggest.js';
import { check, parseYamlValue } from '../support/yaml.js';
import { type Experiment, isSection, type Recipe, type RecipeSection, recipeSchema } from './experiment.js';

const SECTIONS = ['model', 'data', 'training', 'evaluation', 'benchmark'] as const;

/** The values of a section by their full path, such as `model.decodeHead.channels`. An array is one value. */
function leaves(value: object, prefix = ''): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [key, inner] of Object.entries(value)) {
    if (isSection(inner)) for (const [path, leaf] of leaves(inner, `${prefix}${key}.`)) found.set(path, leaf);
    else found.set(`${prefix}${key}`, inner);
  }
  return found;
}

/** Values that a recipe may leave out; then they are null. Recipes and hashes from before they existed stay as they are. */
const OPTIONAL_VALUES: ReadonlySet<string> = new Set(['model.initialWeights', 'model.reset']);

/** Whether a recipe may leave out a value, given by its full path. */
export const isOptional = (path: string) => OPTIONAL_VALUES.has(path);

/** A recipe that would do with overrides. */
export class OverridesNeeded extends UserError {
  /** @param overrides `path=value`, all of them together; at least one. */
  constructor(
    message: string,
    readonly overrides: readonly string[],
    options?: ErrorOptions,
  ) {
    super(message, `Add ${overrides.map((override) => `--set ${override}`).join(' ')}.`, options);
  }
}

/** The sections of a recipe that determine an experiment's figures, without its names. */
export type RecipeSections = Pick<Experiment, (typeof SECTIONS)[number]>;

/** The values of a recipe by their full path. */
export function recipeValues(recipe: RecipeSections): Map<string, unknown> {
  return leaves(Object.fromEntries(SECTIONS.map((section) => [section, recipe[section]])));
}

/** A copy of a recipe without optional values that are null, so that equal recipes have equal hashes. */
export function withoutUnset<R extends { readonly model: Recipe['model'] }>(recipe: R): R {
  const entries = Object.entries(recipe.model).filter(([key, value]) => value !== null || !isOptional(`model.${key}`));
  return { ...recipe, model: Object.fromEntries(entries) as Recipe['model'] };
}

/** A value written as in YAML. @param option How it was given, `--set width`. @throws UserError where it is none. */
export function parseValue(option: string, text: string): unknown {
  const parsed = parseYamlValue(text);
  if ('value' in parsed) return parsed.value;
  throw new UserError(`${option}=${text}: not a value: ${parsed.problem}`, 'Write it as in YAML.');
}

function withValue(section: RecipeSection, [key, ...rest]: readonly string[], value: unknown): RecipeSection {
  return { ...section, [key!]: rest.length === 0 ? value : withValue(section[key!] as RecipeSection, rest, value) };
}

/** A copy of a recipe with a new value at a full path. */
export function replaceValue<R extends RecipeSections>(recipe: R, path: string, value: unknown): R {
  return withValue(recipe as unknown as RecipeSection, path.split('.'), value) as R;
}

/** The full paths of all values that --set can change. */
const pathsOf = (recipe: RecipeSections) => [...new Set([...recipeValues(recipe).keys(), ...OPTIONAL_VALUES])];

/** An override as --set takes it, with the shortest unambiguous path: `width=32`. */
export function overrideText(path: string, value: unknown, recipe: RecipeSections): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `${shortPath(path, pathsOf(recipe))}=${text}`;
}

/**
 * Applies overrides of the form `path=value`, in order. The path may be shortened to an unambiguous trailing part (`width` for
 * `model.width`); the value is read as YAML.
 * @throws UserError if the path does not exist or is ambiguous, or the value is of the wrong kind.
 */
export function applyOverrides(recipe: Recipe, overrides: readonly string[]): Recipe {
  return overrides.reduce((current, override) => {
    const equals = override.indexOf('=');
    if (equals < 1) {
      throw new UserError(`--set ${override}: expected path=value.`, 'For example: --set width=16.');
    }
    const path = fullPath(override.slice(0, equals).trim(), pathsOf(current));
    const value = parseValue(`--set ${path}`, override.slice(equals + 1));
    const changed = check(recipeSchema, withValue(current, path.split('.'), value));
    if ('value' in changed) return changed.value;
    throw new UserError(
      `--set ${path}: ${endSentence(changed.finding.message)}`,
      `It is ${JSON.stringify(recipeValues(current).get(path) ?? null)} in the recipe.`,
    );
  }, recipe);
}

/** How to change what --set cannot change. */
const NOT_IN_RECIPE: Readonly<Record<string, string>> = {
  seed: 'Use --seed.',
  profile: 'Use --profile.',
  weights: 'Use --weights.',
  engine: 'Use --engine.',
  method: 'It is only what a table shows. Change it in an experiment file (--file).',
  backbone:
    'It is only what a table shows. Set depth, stem, strides and dilations, or change it in an experiment file (--file).',
};

/** The last `keys` keys of a path. */
function ending(path: string, keys: number): string {
  return path.split('.').slice(-keys).join('.');
}

/** The shortest trailing part of a path that no other path has. */
export function shortPath(path: string, paths: readonly string[]): string {
  const others = paths.filter((other) => other !== path);
  const lengths = path.split('.').map((_, i) => i + 1);
  const short = lengths.find((keys) => !others.some((other) => ending(other, keys) === ending(path, keys)));
  return short === undefined ? path : ending(path, short);
}

/** The sections that contain these paths, outer ones first. */
function sectionsOf(paths: readonly string[]): string[] {
  const sections = paths.flatMap((path) => {
    const keys = path.split('.');
    return keys.slice(1).map((_, i) => keys.slice(0, i + 1).join('.'));
  });
  return [...new Set(sections)];
}

/** How far typed keys are from the last keys of a path, in sum; undefined if one of them is not similar at all. */
function pathRemoteness(typed: readonly string[], path: string): number | undefined {
  const keys = path.split('.').slice(-typed.length);
  if (keys.length < typed.length) return undefined;
  return keys.reduce<number | undefined>((sum, key, i) => {
    const far = remoteness(typed[i]!, key);
    return sum === undefined || far === undefined ? undefined : sum + far;
  }, 0);
}

/** What to try instead of a path that does not exist. */
function suggestion(typed: string, paths: readonly string[]): string {
  const keys = typed.split('.');
  const sections = sectionsOf(paths);
  const all = [...paths, ...sections];
  const near = leastRemote(all, (path) => pathRemoteness(keys, path));
  // Perhaps it is in another section.
  const meant = near.length > 0 ? near : leastRemote(paths, (path) => pathRemoteness(keys.slice(-1), path));
  if (meant.length > 0) {
    const short = meant.map((path) => {
      const length = Math.max(keys.length, shortPath(path, all).split('.').length);
      return ending(path, length);
    });
    return `Did you mean ${alternatives(short)}?`;
  }
  const section = sections.find((name) => name === keys.slice(0, -1).join('.') || name.endsWith(`.${keys.at(-2)}`));
  return section === undefined
    ? `Its sections are ${sections.filter((name) => !name.includes('.')).join(', ')}; fcn show ROW lists all values.`
    : `In ${section} there are: ${paths.filter((path) => path.startsWith(`${section}.`)).join(', ')}.`;
}

/**
 * The full path that a typed path means: the same one, or the only one that ends in it.
 * @param option The flag it was given by.
 * @throws UserError that names similar paths if there is none, or all of them if there are several.
 */
export function fullPath(typed: string, paths: readonly string[], option = '--set'): string {
  if (paths.includes(typed)) return typed;
  const endings = paths.filter((path) => path.endsWith(`.${typed}`));
  if (endings.length === 1) return endings[0]!;
  if (endings.length > 1) {
    throw new UserError(`${option} ${typed}: ambiguous.`, `Say which: ${endings.join(', ')}.`);
  }
  const inside = paths.filter((path) => path.startsWith(`${typed}.`) || path.includes(`.${typed}.`));
  if (inside.length > 0) {
    throw new UserError(`${option} ${typed}: a section, not a value.`, `Name one of its values: ${inside.join(', ')}.`);
  }
  throw new UserError(
    `${option} ${typed}: the recipe has no such value.`,
    option === '--set' && Object.hasOwn(NOT_IN_RECIPE, typed) ? NOT_IN_RECIPE[typed] : suggestion(typed, paths),
  );
}
