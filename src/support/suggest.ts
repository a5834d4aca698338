import { UserError } from './errors.js';

/** Number of insertions, deletions, substitutions and swaps of neighbouring letters that turn one word into the other. */
export function editDistance(from: string, to: string): number {
  // Three rows of the optimal string alignment matrix; `row[j]` is the distance of the prefixes of length i and j.
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let distance = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      row.push(distance);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[to.length]!;
}

/** Without capitals and separators: "decode_head" and "decodeHead" are the same name. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/** The words of a name in camelCase, snake_case or kebab-case, in lower case. */
function wordsOf(name: string): string[] {
  const spaced = name.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').replaceAll(/([A-Z])([A-Z][a-z])/g, '$1 $2');
  return spaced
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}

/** Whether leaving letters out of `long`, but not the first and at most two thirds, can give `short`: "aux" and "auxiliary". */
function isShortened(short: string, long: string): boolean {
  if (short[0] !== long[0] || 3 * short.length < long.length) return false;
  let at = 0;
  for (const letter of long) if (letter === short[at]) at++;
  return at === short.length;
}

/** Whether a part is within one word of a name, or begins with one: "idr" is no part of "camvid_r18", though its letters are. */
function contains(name: string, part: string): boolean {
  const words = wordsOf(name);
  return words.some((word, i) => word.includes(part) || words.slice(i).join('').startsWith(part));
}

/** One typing mistake per so many letters: one in three to five letters, two in six. With two in four, "seed" would match "stem". */
const LETTERS_PER_MISTAKE = 3;

/** Shorter texts occur in too many names by chance. */
const SHORTEST_PART = 3;

/**
 * How far a name is from what was typed; undefined if it was hardly meant.
 *
 * 0: equal except for capitals and separators. 1: `typed` is its initials (lr, learningRate). 2 to 3: typing mistakes. 3: it starts
 * with `typed`. 4: `typed` is one of its words, or it is one of the words typed. 5: one of its words starts with `typed`. 6: it
 * contains `typed` within a word, or from the start of one. 7: `typed` leaves letters out.
 */
export function remoteness(typed: string, name: string): number | undefined {
  const [from, to] = [plain(typed), plain(name)];
  if (from === '') return undefined;
  if (from === to) return 0;
  const words = wordsOf(name);
  if (words.length > 1 && from === words.map(([initial]) => initial).join('')) return 1;
  const mistakes = from.length < SHORTEST_PART ? 0 : Math.max(1, Math.floor(from.length / LETTERS_PER_MISTAKE));
  const distance = editDistance(from, to);
  if (distance <= mistakes) return 2 + distance / (mistakes + 1);
  if (to.startsWith(from)) return 3;
  if (from.length < SHORTEST_PART) return undefined;
  if (words.includes(from) || (to.length >= SHORTEST_PART && wordsOf(typed).includes(to))) return 4;
  if (words.some((word) => word.startsWith(from))) return 5;
  if (contains(name, from)) return 6;
  return isShortened(from, to) ? 7 : undefined;
}

/** Most names that are suggested. */
const MOST_NAMES = 3;

/** The names with the least remoteness, at most three; none if `remotenessOf` is undefined for all. */
export function leastRemote(names: Iterable<string>, remotenessOf: (name: string) => number | undefined): string[] {
  const near = [...new Set(names)].flatMap((name) => {
    const distance = remotenessOf(name);
    return distance === undefined ? [] : [{ name, distance }];
  });
  const least = Math.min(...near.map(({ distance }) => distance));
  return near
    .filter(({ distance }) => distance === least)
    .slice(0, MOST_NAMES)
    .map(({ name }) => name);
}

/** The names that were most likely meant, at most three; none if none is near. */
export function nearestAll(typed: string, names: Iterable<string>): string[] {
  return leastRemote(names, (name) => remoteness(typed, name));
}

/** The name that was most likely meant; undefined if none is near. */
export function nearest(typed: string, names: Iterable<string>): string | undefined {
  return nearestAll(typed, names)[0];
}

/** "a", "a or b", "a, b or c". */
export function alternatives(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

/**
 * The regular expression for whole names of a pattern with `*` (any text), `?` (any character) and `{a,b}` (a or b).
 * @throws UserError if a brace is not closed.
 */
export function wildcardExpression(pattern: string): RegExp {
  let depth = 0;
  const source = [...pattern].map((character) => {
    if (character === '*') return '.*';
    if (character === '?') return '.';
    if (character === '{') {
      depth++;
      return '(?:';
    }
    if (character === '}' && depth > 0) {
      depth--;
      return ')';
    }
    if (character === ',' && depth > 0) return '|';
    return character.replaceAll(/[.+^$()|[\]\\{}]/g, '\\$&');
  });
  if (depth > 0) throw new UserError(`${pattern}: a "{" is not closed.`, 'Write alternatives as in {this,that}*.');
  return new RegExp(`^${source.join('')}$`, 's');
}
