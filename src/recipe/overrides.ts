import { parseDocument } from 'yaml';
import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { alternatives, leastRemote, remoteness } from '../support/suggest.js';
import { check, documentValue } from '../support/yaml.js';
import { type Experiment, type Recipe, recipeSchema } from './experiment.js';

type Section = { [key: string]: unknown };

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const SECTIONS = ['model', 'data', 'training', 'evaluation', 'benchmark'] as const;

/** The values of a section by full path, `model.decodeHead.channels`; an array is one value. */
function leaves(value: object, prefix = ''): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [key, inner] of Object.entries(value)) {
    if (isSection(inner)) for (const [path, leaf] of leaves(inner, `${prefix}${key}.`)) found.set(path, leaf);
    else found.set(`${prefix}${key}`, inner);
  }
  return found;
}

/** The sections of a recipe that hold values; names are not among them. */
export type RecipeValues = Pick<Experiment, (typeof SECTIONS)[number]>;

/** The values that make an experiment's figures, by full path. */
export function valuesOf(recipe: RecipeValues): Map<string, unknown> {
  return leaves(Object.fromEntries(SECTIONS.map((section) => [section, recipe[section]])));
}

/** A value written as in YAML. @param option How it was given, `--set width`. @throws UserError where it is none. */
export function parseValue(option: string, text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
  // A tag that is not known, say, is a warning only.
  const [error] = [...document.errors, ...document.warnings];
  const said = error === undefined ? documentValue(document) : { problem: error.message };
  if ('value' in said) return said.value;
  throw new UserError(`${option}=${text}: not a value: ${said.problem}`, 'Write it as in YAML.', { cause: error });
}

function withValue(section: Section, [key, ...rest]: readonly string[], value: unknown): Section {
  return { ...section, [key!]: rest.length === 0 ? value : withValue(section[key!] as Section, rest, value) };
}

/** A copy of a recipe with another value at a full path. */
export function replaceValue<R extends RecipeValues>(recipe: R, path: string, value: unknown): R {
  return withValue(recipe as unknown as Section, path.split('.'), value) as R;
}

/** A value as --set takes it, its path as short as it may be: `width=32`. */
export function overrideText(path: string, value: unknown, recipe: RecipeValues): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `${shortPath(path, [...valuesOf(recipe).keys()])}=${text}`;
}

/**
 * Applies overrides written `path=value`, in order. The path may be shortened to any unambiguous trailing part
 * (`width` for `model.width`); the value is read as YAML.
 * @throws UserError where the path does not exist, is ambiguous, or the value is of the wrong kind.
 */
export function applyOverrides(recipe: Recipe, overrides: readonly string[]): Recipe {
  return overrides.reduce((current, override) => {
    const equals = override.indexOf('=');
    if (equals < 1) {
      throw new UserError(`--set ${override}: expected path=value.`, 'For example: --set width=16.');
    }
    const path = fullPath(override.slice(0, equals).trim(), [...valuesOf(current).keys()]);
    const value = parseValue(`--set ${path}`, override.slice(equals + 1));
    const keys = path.split('.');
    const changed = check(recipeSchema, withValue(current, keys, value));
    if ('value' in changed) return changed.value;
    throw new UserError(
      `--set ${path}: ${endSentence(changed.finding.message)}`,
      `It is ${JSON.stringify(valuesOf(current).get(path))} in the recipe.`,
    );
  }, recipe);
}

/** Full paths of a recipe's values, `model.decodeHead.channels`, and what people type for them. */

/** What --set is asked to change and is no value of the recipe, and what changes it instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  seed: 'Use --seed.',
  profile: 'Use --profile.',
  weights: 'Use --weights.',
  engine: 'Use --engine.',
  method: 'It is only what a table shows; an experiment file says it (--file).',
  backbone:
    'It is only what a table shows: set depth, stem, strides and dilations; an experiment file says it (--file).',
};

/** The last keys of a path, as many as given. */
function ending(path: string, keys: number): string {
  return path.split('.').slice(-keys).join('.');
}

/** The shortest trailing part of a path that no other has, as it may be typed. */
export function shortPath(path: string, paths: readonly string[]): string {
  const others = paths.filter((other) => other !== path);
  const lengths = path.split('.').map((_, i) => i + 1);
  const short = lengths.find((keys) => !others.some((other) => ending(other, keys) === ending(path, keys)));
  return short === undefined ? path : ending(path, short);
}

/** The sections that paths lie in, outer ones first. */
function sectionsOf(paths: readonly string[]): string[] {
  const sections = paths.flatMap((path) => {
    const keys = path.split('.');
    return keys.slice(1).map((_, i) => keys.slice(0, i + 1).join('.'));
  });
  return [...new Set(sections)];
}

/** How far what was typed is from the end of a path, key by key; undefined where one of them is out of reach. */
function pathRemoteness(typed: readonly string[], path: string): number | undefined {
  const keys = path.split('.').slice(-typed.length);
  if (keys.length < typed.length) return undefined;
  return keys.reduce<number | undefined>((sum, key, i) => {
    const far = remoteness(typed[i]!, key);
    return sum === undefined || far === undefined ? undefined : sum + far;
  }, 0);
}

/** What to try for a path that there is not. */
function suggestion(typed: string, paths: readonly string[]): string {
  const keys = typed.split('.');
  const sections = sectionsOf(paths);
  const all = [...paths, ...sections];
  const near = leastRemote(all, (path) => pathRemoteness(keys, path));
  // In another section than was typed.
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
 * The full path that a typed one means: itself, or the only one that ends in it.
 * @param option How it was given.
 * @throws UserError that names the nearest where there is none, or those where there are several.
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
    option === '--set' && Object.hasOwn(ELSEWHERE, typed) ? ELSEWHERE[typed] : suggestion(typed, paths),
  );
}
