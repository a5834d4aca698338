import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../support/package.js';
import { type Commands, type Position, positionIn } from './command-line.js';
import { type CompletedValue, type Completion, completeValue, flagValues, type KnownRow } from './values.js';

/*
 * Runs at each press of TAB: loads neither oclif nor zod, and a YAML parser only for a file that is named.
 */

/** oclif.manifest.json, to which scripts/manifest.mjs adds the rows. */
interface Manifest {
  readonly commands: Commands;
  readonly rows: readonly KnownRow[];
}

interface PackageFile {
  readonly oclif: { readonly topics: Readonly<Record<string, { readonly description: string }>> };
}

const readJson = (name: string): unknown => JSON.parse(readFileSync(path.join(packageRoot(), name), 'utf8'));

/** The words that may follow in the name of a command: topics and commands. */
function commandCandidates(after: readonly string[], commands: Commands): Completion[] {
  const { topics } = (readJson('package.json') as PackageFile).oclif;
  const next = new Map<string, string>();
  if (after.length === 0) next.set('help', 'Display help for fcn.');
  for (const [id, { summary = '', hidden }] of Object.entries(commands)) {
    const words = id.split(':');
    const word = words[after.length];
    if (hidden || word === undefined || after.some((one, i) => words[i] !== one)) continue;
    const isTopic = words.length > after.length + 1;
    next.set(word, isTopic ? (topics[words.slice(0, after.length + 1).join(':')]?.description ?? '') : summary);
  }
  return [...next].map(([value, description]) => ({ value, description }));
}

function flagCandidates({ command, flags: typed }: Extract<Position, { wants: 'flag' }>['typed']): Completion[] {
  const help = { name: 'help', summary: 'Show help.', hidden: false, multiple: false };
  return [...Object.values(command.flags), help]
    .filter(({ name, hidden, multiple }) => !hidden && (multiple || !typed.has(name)))
    .map(({ name, summary = '' }) => ({ value: `--${name}`, description: summary }));
}

async function valueCandidates(
  { typed, value }: Extract<Position, { wants: 'value' }>,
  current: string,
  { rows }: Manifest,
): Promise<CompletedValue> {
  const { options, kinds, prefix } = value;
  const prefixed = ({ files, candidates }: CompletedValue) => ({
    files,
    candidates: candidates.map((one) => ({ ...one, value: `${prefix}${one.value}` })),
  });
  if (options !== null) {
    return prefixed({ files: '', candidates: options.map((option) => ({ value: option, description: '' })) });
  }
  const { flags } = typed.command;
  const found = await completeValue(kinds ?? '', current.slice(prefix.length), {
    rows,
    builtAt: statSync(path.join(packageRoot(), 'oclif.manifest.json')).mtimeMs,
    flag: (name) => flagValues(flags[name], typed.flags.get(name)),
  });
  const given = new Set(prefix === '' ? typed.arguments : []);
  return prefixed({ ...found, candidates: found.candidates.filter((one) => !given.has(one.value)) });
}

/**
 * What may stand at the end of a command line, as the shells' scripts read it: a line that says which files the shell should add
 * (`-`, `files`, `files .yaml`, `folders`), then a line for each candidate: value, tab, description.
 * @param words Without the name of the program; the last is the word that is being typed, '' for a new one.
 */
export async function complete(words: readonly string[]): Promise<string> {
  const manifest = readJson('oclif.manifest.json') as Manifest;
  const position = positionIn(words, manifest.commands);
  const { files, candidates } = await completionAt(position, words.at(-1) ?? '', manifest);
  const lines = candidates.map(({ value, description }) => `${value}\t${description}`);
  return [files || '-', ...lines].join('\n');
}

async function completionAt(position: Position, current: string, manifest: Manifest): Promise<CompletedValue> {
  switch (position.wants) {
    case 'command':
      return { files: '', candidates: commandCandidates(position.after, manifest.commands) };
    case 'flag':
      return { files: '', candidates: flagCandidates(position.typed) };
    case 'value':
      return valueCandidates(position, current, manifest);
    case 'nothing':
      return { files: '', candidates: [] };
  }
}
