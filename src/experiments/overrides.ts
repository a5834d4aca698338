import { parseDocument } from 'yaml';
import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { check } from '../support/validate.js';
import { documentValue } from '../support/yaml.js';
import type { Experiment } from './experiment.js';
import { fullPath, shortPath } from './paths.js';
import { type Recipe, recipeSchema } from './schema.js';

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

function parseValue(path: string, text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false });
  // A tag that is not known, say, is a warning only.
  const [error] = [...document.errors, ...document.warnings];
  const said = error === undefined ? documentValue(document) : { problem: error.message };
  if ('value' in said) return said.value;
  throw new UserError(`--set ${path}=${text}: not a value: ${said.problem}`, 'Write it as in YAML.', { cause: error });
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
    const value = parseValue(path, override.slice(equals + 1));
    const keys = path.split('.');
    const changed = check(recipeSchema, withValue(current, keys, value));
    if ('value' in changed) return changed.value;
    throw new UserError(
      `--set ${path}: ${endSentence(changed.finding.message)}`,
      `It is ${JSON.stringify(valuesOf(current).get(path))} in the recipe.`,
    );
  }, recipe);
}
