import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { complete } from '../../src/cli/completion/complete.js';
import { completionScript, SHELLS, type Shell } from '../../src/cli/completion/scripts.js';
import { loadTables } from '../../src/recipe/tables.js';
import { packageRoot } from '../../src/support/package.js';
import { temporaryFolder } from '../helpers/folder.js';

const RUN = '20260102-030405-0123abcd';
const OTHER_RUN = '20260103-030405-4567cdef';

/** A folder with two runs of a row, the first with a best checkpoint; a kept record; and an experiment file with two rows. */
async function workplace(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t);
  const inside = (...names: string[]) => path.join(folder, ...names);
  mkdirSync(inside('runs', 'mine', RUN, 'checkpoints'), { recursive: true });
  mkdirSync(inside('runs', 'mine', OTHER_RUN));
  mkdirSync(inside('runs', 'mine', 'no-run'));
  mkdirSync(inside('results', 'local'), { recursive: true });
  mkdirSync(inside('my photos'));
  writeFileSync(inside('runs', 'mine', RUN, 'experiment.json'), '{}');
  writeFileSync(inside('runs', 'mine', RUN, 'checkpoints', 'best.json'), '{}');
  writeFileSync(inside('runs', 'mine', OTHER_RUN, 'run.json'), '{}');
  mkdirSync(inside('runs', 'jobs', '20260104-030405'), { recursive: true });
  writeFileSync(inside('runs', 'jobs', '20260104-030405', 'job.json'), '{}');
  writeFileSync(inside('results', 'local', 'kept.row.20260101-000000-89ab0123.json'), '{}');
  writeFileSync(inside('mine.yaml'), 'rows: [{ id: mine_wide }, { id: mine_narrow }, 3, { no: id }]\n');
  writeFileSync(inside('broken.yaml'), 'rows: [{ id: "x }]\n');
  return folder;
}

/** Candidates at the end of a command line in a folder, and which files the shell adds. */
async function candidates(folder: string, ...words: string[]): Promise<{ files: string; values: string[] }> {
  const environment = { FCN_RUNS: path.join(folder, 'runs'), FCN_RESULTS: path.join(folder, 'results') };
  const before = { ...process.env };
  Object.assign(process.env, environment);
  try {
    const [files, ...lines] = (await complete(words)).split('\n');
    return { files: files!, values: lines.map((line) => line.split('\t')[0]!) };
  } finally {
    for (const name of Object.keys(environment)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

test.serial('commands, topics and flags', async (t) => {
  const folder = await workplace(t);
  const first = await candidates(folder, '');
  t.deepEqual(first.files, '-');
  for (const word of ['help', 'reproduce', 'runs', 'completion']) t.true(first.values.includes(word), word);
  t.deepEqual((await candidates(folder, 'runs', '')).values, ['clean', 'list', 'logs', 'show', 'table', 'watch']);
  t.deepEqual((await candidates(folder, 'help', 'engines', '')).values, ['install', 'list']);
  t.deepEqual((await candidates(folder, 'nonsense', '')).values, []);
  const flags = (await candidates(folder, 'train', '--seed', '1', '--set', 'width=4', '--')).values;
  t.true(flags.includes('--set') && flags.includes('--help'), 'it may be given several times');
  t.false(flags.includes('--seed'), 'given already');
  t.true((await candidates(folder, 'runs', 'list', '')).values.includes('--state'), 'it takes no argument');
});

test.serial('rows: of the package, of a table, of a file', async (t) => {
  const folder = await workplace(t);
  const all = loadTables().flatMap((table) => table.rows.map(({ id }) => id));
  const commands = ['reproduce', 'train', 'evaluate', 'show', 'doctor', 'benchmark', 'list', 'weights fetch'];
  for (const command of commands) {
    t.deepEqual((await candidates(folder, ...command.split(' '), 'fcn_')).values.sort(), [...all].sort(), command);
  }
  t.deepEqual((await candidates(folder, 'predict', 'a.jpg', '--row', '')).values.length, all.length);
  const ofTable = (await candidates(folder, 'reproduce', '--table', 'ADE20K', '')).values;
  t.is(ofTable.length, 4);
  t.true(ofTable.every((row) => row.endsWith('ade20k')));
  const file = path.join(folder, 'mine.yaml');
  t.deepEqual((await candidates(folder, 'train', '--file', file, '')).values, ['mine_wide', 'mine_narrow']);
  t.deepEqual((await candidates(folder, 'train', `--file=${file}`, '')).values, ['mine_wide', 'mine_narrow']);
  t.deepEqual((await candidates(folder, 'reproduce', '--file', file, 'mine_wide', '')).values, ['mine_narrow']);
  for (const wrong of ['broken.yaml', 'none.yaml', '.']) {
    t.deepEqual((await candidates(folder, 'train', '--file', path.join(folder, wrong), '')).values, [], wrong);
  }
});

test.serial('runs, weights, records', async (t) => {
  const folder = await workplace(t);
  const runs = [RUN, OTHER_RUN, 'mine'];
  for (const command of [
    'runs show',
    'runs logs',
    'runs watch',
    'runs clean',
    'train --resume-run',
    'benchmark --weights',
  ]) {
    t.deepEqual((await candidates(folder, ...command.split(' '), '')).values, runs, command);
  }
  const withPlace = (await complete(['runs', 'show', '--runs', path.join(folder, 'elsewhere'), ''])).split('\n');
  t.deepEqual(withPlace, ['-']);
  t.deepEqual((await candidates(folder, 'jobs', 'show', '')).values, ['20260104-030405']);
  t.deepEqual((await candidates(folder, 'runs', 'show', 'mine/')).values, [`mine/${RUN}`, `mine/${OTHER_RUN}`]);
  t.deepEqual(await candidates(folder, 'evaluate', '--weights', ''), {
    files: 'files',
    values: ['published', RUN, `${RUN}:best`, OTHER_RUN, 'mine', 'mine:best'],
  });
  const compared = (await candidates(folder, 'compare', RUN, '')).values;
  for (const value of [OTHER_RUN, '20260101-000000-89ab0123', 'kept.row', 'camvid_r18-d8', 'published']) {
    t.true(compared.includes(value), value);
  }
  t.false(compared.includes(RUN), 'given already');
});

test.serial('tables, data sets, fixed values, files', async (t) => {
  const folder = await workplace(t);
  t.true((await candidates(folder, 'list', '--table', '')).values.includes('voc2012-aug'));
  t.deepEqual((await candidates(folder, 'train', '--engine', '')).values, ['auto', 'tensorflow', 'webgpu', 'wasm']);
  t.deepEqual((await candidates(folder, 'train', '--profile=')).values, ['--profile=full', '--profile=smoke']);
  t.deepEqual((await candidates(folder, 'schema', '')).values, ['table', 'base', 'dataset', 'cluster']);
  t.deepEqual(await candidates(folder, 'datasets', 'verify', ''), {
    files: 'files .yaml',
    values: ['ade20k', 'camvid', 'cityscapes', 'pascal-context', 'pascal-context-59', 'voc2012-aug'],
  });
  t.true((await candidates(folder, 'datasets', 'prepare', '')).values.includes('cityscapes'));
  const filesOf = async (...words: string[]) => (await candidates(folder, ...words, '')).files;
  t.is(await filesOf('train', '--file'), 'files .yaml');
  t.is(await filesOf('predict'), 'files');
  t.is(await filesOf('train', '--runs'), 'folders');
  t.is(await filesOf('train', '--seed'), '-');
});

test('every argument says what it takes', (t) => {
  const { commands } = JSON.parse(readFileSync(path.join(packageRoot(), 'oclif.manifest.json'), 'utf8')) as {
    commands: Record<string, { args: Record<string, { options?: string[]; completes?: string }> }>;
  };
  const silent = Object.entries(commands).flatMap(([id, { args }]) =>
    Object.entries(args)
      .filter(([, { options, completes }]) => options === undefined && completes === undefined)
      .map(([name]) => `${id} ${name}`),
  );
  t.deepEqual(silent, []);
});

test('a press of TAB loads neither the commands nor the schemas', (t) => {
  const hook = `
    export function resolve(specifier, context, next) {
      if (/^(@oclif|zod|yaml)/.test(specifier)) throw new Error('loaded: ' + specifier);
      return next(specifier, context);
    }`;
  const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  const register = url(`import { register } from 'node:module'; register(${JSON.stringify(url(hook))});`);
  const ask = ['--import', register, path.join(packageRoot(), 'bin', 'run.js'), '__complete', 'reproduce', ''];
  t.regex(execFileSync(process.execPath, ask, { encoding: 'utf8' }), /^fcn_r50-d8_512x1024_40k_cityscapes\t/m);
});

const hasShell = (shell: Shell) => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** Command lines, as bash breaks them into words, and what completes the last. */
const LINES: readonly {
  readonly words: readonly string[];
  readonly bash?: readonly string[];
  readonly to: readonly string[];
}[] = [
  { words: ['fcn', 'runs', 'show', '20260102'], to: [RUN] },
  { words: ['fcn', 'train', '--file', 'mine.yaml', 'mine_w'], to: ['mine_wide'] },
  { words: ['fcn', 'train', '--engine=wa'], bash: ['fcn', 'train', '--engine', '=', 'wa'], to: ['--engine=wasm'] },
  {
    words: ['fcn', 'evaluate', '--weights', 'mine:b'],
    bash: ['fcn', 'evaluate', '--weights', 'mine', ':', 'b'],
    to: ['mine:best'],
  },
  { words: ['fcn', 'init', '--images', 'my'], to: ['my photos'] },
];

const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');

/**
 * Completes all command lines in one shell, on a path without `fcn`, so that the script asks this copy.
 * @param lineScript The commands that print what completes a line, one value a line.
 */
async function inShell(
  t: ExecutionContext,
  shell: Shell,
  setUp: string,
  lineScript: (line: (typeof LINES)[number]) => string,
): Promise<string[][]> {
  const cwd = await workplace(t);
  writeFileSync(path.join(cwd, 'script'), completionScript(shell));
  const script = [setUp, 'source ./script', ...LINES.flatMap((line) => [lineScript(line), "echo '==='"])].join('\n');
  const output = execFileSync(shell, ['-c', script], {
    cwd,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', HOME: cwd },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parts = output.split('===\n').slice(0, -1);
  return parts.map((part) => part.split('\n').filter((line) => line !== ''));
}

const withBash = hasShell('bash') ? test : test.skip;

withBash('bash completes', async (t) => {
  const found = await inShell(t, 'bash', '', ({ words, bash = words }) => {
    const line = words.join(' ');
    return `COMP_LINE='${line}' COMP_POINT=${line.length} COMP_WORDS=(${quoted(bash)}) COMP_CWORD=${bash.length - 1}
      _fcn fcn; printf '%s\\n' "\${COMPREPLY[@]}"`;
  });
  // Only what follows the last = or : is replaced.
  const expected = LINES.map(({ to }) => to.map((value) => value.replace(/^.*[=:]/, '')));
  t.deepEqual(found, expected);
});

const withFish = hasShell('fish') ? test : test.skip;

withFish('fish completes', async (t) => {
  const found = await inShell(t, 'fish', '', ({ words }) => `complete -C '${words.join(' ')}'`);
  const values = found.map((lines) =>
    lines.map((line) => line.split('\t')[0]!.replace(/\/$/, '').replaceAll('\\', '')),
  );
  t.deepEqual(
    values,
    LINES.map(({ to }) => [...to]),
  );
});

const withZsh = hasShell('zsh') ? test : test.skip;

withZsh('zsh completes', async (t) => {
  // zsh's own functions need a terminal: these print what they are given, of which zsh shows what begins as the word.
  const setUp = `compdef() {}; compset() {}; _files() { print -r -- "files $*" }
    _describe() { print -rl -- "\${(@)candidates}" }`;
  const found = await inShell(t, 'zsh', setUp, ({ words }) => {
    return `words=(${quoted(words)}) CURRENT=$#words PREFIX=$words[-1]; _fcn`;
  });
  const values = found.map((lines, i) =>
    lines
      .map((line) => line.replaceAll('\\:', '\0').split(':')[0]!.replaceAll('\0', ':'))
      .filter((value) => value.startsWith(LINES[i]!.words.at(-1)!) || value === 'files -/'),
  );
  t.deepEqual(
    values,
    LINES.map(({ words, to }) => (words.at(-1) === 'my' ? ['files -/'] : [...to])),
  );
});

test('scripts name this package, whatever its path', (t) => {
  for (const shell of SHELLS)
    t.true(completionScript(shell).includes(path.join(packageRoot(), 'bin', 'run.js')), shell);
});
