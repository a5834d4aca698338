import type { FlagInput } from '@oclif/core/interfaces';
import type { CommandWith } from '../runs/run-check.js';
import { shellWords } from '../support/format.js';

/** A command line as typed, and the flags that its command knows. */
interface TypedCommand {
  readonly bin: string;
  /** As `datasets:list`. */
  readonly id: string;
  readonly argv: readonly string[];
  readonly flags: FlagInput;
}

type Word = { readonly flag: null; readonly value: string } | { readonly flag: string; readonly value: string | null };

/** Arguments and flags in order; `value` is null for a flag that takes none. */
function wordsOf(argv: readonly string[], flags: FlagInput): Word[] {
  const words: Word[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return [...words, ...argv.slice(i + 1).map((value) => ({ flag: null, value }))];
    const [, name, joined] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) words.push({ flag: null, value: word });
    else if (flags[name]?.type === 'option') words.push({ flag: name, value: joined ?? argv[++i] ?? '' });
    else words.push({ flag: name, value: null });
  }
  return words;
}

/** Flags that choose rows. */
const CHOOSING: ReadonlySet<string | null> = new Set(['table', 'all']);

/** Whether two overrides, `path=value`, are of one value: paths may be shortened to their end. */
function overrideSameValue(one: string, other: string): boolean {
  const [a, b] = [one, other].map((override) => `.${override.split('=')[0]!.trim()}`) as [string, string];
  return a.endsWith(b) || b.endsWith(a);
}

/** How a command suggests itself with other flags. Added flags replace those that may be given only once, and overrides of the same value. */
export function commandWith({ bin, id, argv, flags }: TypedCommand): CommandWith {
  const typed = wordsOf(argv, flags);
  return (added, row) => {
    const more = wordsOf(added, flags);
    const replaced = new Set(
      more.flatMap(({ flag }) => {
        const known = flag === null ? undefined : flags[flag];
        return known?.type === 'option' && known.multiple ? [] : [flag];
      }),
    );
    const overrides = more.flatMap(({ flag, value }) => (flag === 'set' && value !== null ? [value] : []));
    const kept = typed.filter(({ flag, value }) => {
      if (flag === null) return row === undefined;
      if (flag === 'set') return !overrides.some((override) => overrideSameValue(override, value ?? ''));
      return !replaced.has(flag) && !(row !== undefined && CHOOSING.has(flag));
    });
    return shellWords([
      bin,
      ...id.split(':'),
      ...(row === undefined ? [] : [row]),
      ...kept.flatMap(({ flag, value }) => [
        ...(flag === null ? [] : [`--${flag}`]),
        ...(value === null ? [] : [value]),
      ]),
      ...added,
    ]);
  };
}
