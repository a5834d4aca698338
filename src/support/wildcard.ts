import { UserError } from './errors.js';

/**
 * The regular expression of a pattern with `*` (any text), `?` (any character) and `{a,b}` (one of these), for whole names.
 * @throws UserError where a brace is not closed.
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
