/** A flag or an argument, as oclif.manifest.json has it. */
interface Taking {
  readonly name: string;
  readonly summary?: string;
  readonly description?: string;
  readonly hidden?: boolean;
  readonly multiple?: boolean;
  /** All values that it takes. */
  readonly options?: readonly string[];
  /** Default value. */
  readonly default?: unknown;
}

export interface Flag extends Taking {
  readonly type: 'boolean' | 'option';
  readonly char?: string;
  /** The environment variable of the default. */
  readonly env?: string;
  /** Kinds of its values, as the help shows them: `FILE|published|RUN`. */
  readonly helpValue?: string;
  /** Kinds of its values, if the help says less. */
  readonly completes?: string;
}

/** `completes`: kinds of its values, as the help of a flag shows them. */
interface Argument extends Taking {
  readonly completes?: string;
}

export interface CommandEntry {
  readonly summary?: string;
  readonly hidden?: boolean;
  readonly flags: Readonly<Record<string, Flag>>;
  readonly args: Readonly<Record<string, Argument>>;
}

/** By id, as `runs:list`. */
export type Commands = Readonly<Record<string, CommandEntry>>;

/** A command line up to the cursor that names a command. */
interface Typed {
  readonly command: CommandEntry;
  /** The flags with their values; of a boolean flag, no values. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly arguments: readonly string[];
}

/** A value is wanted. `kinds` as in a flag's help; null if nobody says. */
interface ValueWanted {
  readonly options: readonly string[] | null;
  readonly kinds: string | null;
  /** What stands before the value in its word: `--engine=`. */
  readonly prefix: string;
}

/** What belongs where the cursor is. */
export type Position =
  /** The next word of a command that begins with these. */
  | { readonly wants: 'command'; readonly after: readonly string[] }
  | { readonly wants: 'flag'; readonly typed: Typed }
  | { readonly wants: 'value'; readonly typed: Typed; readonly value: ValueWanted }
  | { readonly wants: 'nothing' };

const NOTHING: Position = { wants: 'nothing' };

/** The words before the cursor, and the flag whose value is missing at the end. */
function readTyped(command: CommandEntry, words: readonly string[]) {
  const flags = new Map<string, string[]>();
  const typedArguments: string[] = [];
  let owed: Flag | null = null;
  let flagsEnded = false;
  const add = ({ name }: Flag, values: readonly string[]) => flags.set(name, [...(flags.get(name) ?? []), ...values]);
  for (const word of words) {
    if (owed !== null) {
      add(owed, [word]);
      owed = null;
    } else if (flagsEnded || !word.startsWith('-') || word === '-') typedArguments.push(word);
    else if (word === '--') flagsEnded = true;
    else {
      const { flag, value } = readFlag(command, word);
      if (flag?.type === 'option' && value === null) owed = flag;
      else if (flag !== undefined) add(flag, value === null ? [] : [value]);
    }
  }
  return { typed: { command, flags, arguments: typedArguments }, owed, flagsEnded };
}

/** `--name`, `--name=value` or `-c`. */
function readFlag({ flags }: CommandEntry, word: string): { flag: Flag | undefined; value: string | null } {
  const [, name, value = null] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
  if (name !== undefined) return { flag: flags[name], value };
  return { flag: Object.values(flags).find(({ char }) => word === `-${char}`), value: null };
}

const wantedOf = (taking: Taking & { readonly helpValue?: string; readonly completes?: string }, prefix: string) => ({
  options: taking.options ?? null,
  kinds: taking.completes ?? taking.helpValue ?? null,
  prefix,
});

/**
 * What belongs at the end of a command line.
 * @param words Without the name of the program; the last is the word that is being typed, '' for a new one.
 */
export function positionIn(words: readonly string[], commands: Commands): Position {
  const [current = '', before] = [words.at(-1), words.slice(0, -1)];
  if (before[0] === 'help') return { wants: 'command', after: before.slice(1) };
  const length = [3, 2, 1].find((n) => n <= before.length && Object.hasOwn(commands, before.slice(0, n).join(':')));
  if (length === undefined) return current.startsWith('-') ? NOTHING : { wants: 'command', after: before };
  const command = commands[before.slice(0, length).join(':')]!;
  const { typed, owed, flagsEnded } = readTyped(command, before.slice(length));
  if (owed !== null) return { wants: 'value', typed, value: wantedOf(owed, '') };
  if (!flagsEnded && current.startsWith('-')) {
    const { flag } = readFlag(command, current);
    if (!current.includes('=')) return { wants: 'flag', typed };
    if (flag?.type !== 'option') return NOTHING;
    return { wants: 'value', typed, value: wantedOf(flag, `--${flag.name}=`) };
  }
  const args = Object.values(command.args);
  const last = args.at(-1);
  const argument = args[typed.arguments.length] ?? (last?.multiple ? last : undefined);
  if (argument === undefined) return flagsEnded ? NOTHING : { wants: 'flag', typed };
  return { wants: 'value', typed, value: wantedOf(argument, '') };
}
