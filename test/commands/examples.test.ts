import { execFileSync } from 'node:child_process';
import type { Command } from '@oclif/core/command';
import { Config } from '@oclif/core/config';
import { settings } from '@oclif/core/settings';
import test from 'ava';
import { loadDataset } from '../../src/data/description.js';
import { resolve } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { packageRoot } from '../../src/support/package.js';
import { temporaryFolder } from '../helpers/folder.js';

interface Parsed {
  readonly args: Readonly<Record<string, unknown>>;
  readonly flags: Readonly<Record<string, unknown>>;
}

/** The commands' parser is protected. */
interface Parsing {
  parse(command: Command.Class): Promise<Parsed>;
}

type CommandClass = Omit<Command.Class, 'prototype'> & (new (argv: string[], config: Config) => Command);

/** Words of a command line up to a redirection, as a shell reads them; `~` stays. */
function shellWordsOf(line: string): string[] {
  const quoted = line.replace(/ > \S+$/, '').replaceAll('~', "'~'");
  return execFileSync('/bin/sh', ['-fc', `printf '%s\\0' ${quoted}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

/** The examples in the help of a command, as they are printed. */
function examplesOf({ id, examples = [] }: Command.Loadable): string[] {
  return examples
    .map((example) => (typeof example === 'string' ? example : example.command))
    .map((text) => text.replace('<%= config.bin %>', 'fcn').replace('<%= command.id %>', id.replaceAll(':', ' ')));
}

const listOf = (value: unknown): string[] => (value === undefined ? [] : ([value].flat() as string[]));

/** Checks what an example names in the package: rows, patterns, tables, data sets, values of the recipe. */
async function checkNames(id: string, { args, flags }: Parsed): Promise<void> {
  const patterns = [...listOf(args['row']), ...(Array.isArray(args['rows']) ? args['rows'] : [])];
  patterns.push(...listOf(flags['row']), ...listOf(flags['rows']));
  if (flags['recipe'] === true) patterns.push(...listOf(args['a']), ...listOf(args['b']));
  const table = flags['table'] as string | undefined;
  const rows = patterns.length > 0 || table !== undefined ? selectRows({ patterns, table }) : [];
  const profile = (flags['profile'] as string | undefined) ?? 'full';
  for (const { id: row } of rows) resolve({ row, profile, overrides: listOf(flags['set']) });
  if (id.startsWith('datasets:') && typeof args['name'] === 'string') await loadDataset(args['name']);
}

const posix = process.platform === 'win32' ? test.skip : test.serial;

posix('every example in the help parses, and names rows, tables, data sets and values that exist', async (t) => {
  settings.enableAutoTranspile = false;
  const config = await Config.load(packageRoot());
  let checked = 0;
  for (const loadable of config.commands.filter(({ pluginName }) => pluginName === config.name)) {
    const Loaded = (await loadable.load()) as unknown as CommandClass;
    for (const example of examplesOf(loadable)) {
      const [bin, ...words] = shellWordsOf(example);
      const name = loadable.id.split(':');
      t.is(bin, 'fcn', example);
      t.deepEqual(words.slice(0, name.length), name, example);
      const command = new Loaded(words.slice(name.length), config) as unknown as Parsing;
      await t.notThrowsAsync(
        async () => checkNames(loadable.id, await command.parse(Loaded as unknown as Command.Class)),
        example,
      );
      checked++;
    }
  }
  t.true(checked > 60, String(checked));
});

/** Examples that need no data, no run, no engine and no network. */
const RUNNABLE =
  /^fcn (list|show|table|datasets list|results list|runs list|runs table|schema)\b(?!.*(--log|--file|--check|'camvid\*'|2025))/;

posix('examples that need nothing but the package run as they are printed', async (t) => {
  settings.enableAutoTranspile = false;
  const config = await Config.load(packageRoot());
  const home = process.cwd();
  const streams = [process.stdout, process.stderr].map((stream) => ({ stream, write: stream.write }));
  t.teardown(() => {
    for (const { stream, write } of streams) stream.write = write;
    process.chdir(home);
  });
  for (const { stream } of streams) {
    stream.write = () => true;
    // Each command listens for errors of the streams.
    stream.setMaxListeners(0);
  }
  process.chdir(await temporaryFolder(t));
  const failed: string[] = [];
  let ran = 0;
  for (const loadable of config.commands.filter(({ pluginName }) => pluginName === config.name)) {
    for (const example of examplesOf(loadable).filter((text) => RUNNABLE.test(text))) {
      const argv = shellWordsOf(example).slice(1 + loadable.id.split(':').length);
      await (await loadable.load()).run(argv, config);
      if (process.exitCode) failed.push(example);
      process.exitCode = undefined;
      ran++;
    }
  }
  t.deepEqual(failed, []);
  t.true(ran >= 10, String(ran));
});
