import { UserError } from '../support/errors.js';
import { alternatives, leastRemote, remoteness } from '../support/suggest.js';

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
 * @throws UserError that names the nearest where there is none, or those where there are several.
 */
export function fullPath(typed: string, paths: readonly string[]): string {
  if (paths.includes(typed)) return typed;
  const endings = paths.filter((path) => path.endsWith(`.${typed}`));
  if (endings.length === 1) return endings[0]!;
  if (endings.length > 1) {
    throw new UserError(`--set ${typed}: ambiguous.`, `Say which: ${endings.join(', ')}.`);
  }
  const inside = paths.filter((path) => path.startsWith(`${typed}.`) || path.includes(`.${typed}.`));
  if (inside.length > 0) {
    throw new UserError(`--set ${typed}: a section, not a value.`, `Set one of its values: ${inside.join(', ')}.`);
  }
  throw new UserError(
    `--set ${typed}: the recipe has no such value.`,
    Object.hasOwn(ELSEWHERE, typed) ? ELSEWHERE[typed] : suggestion(typed, paths),
  );
}
