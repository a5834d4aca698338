import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { fcn, fcnProcess } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const SMOKE = ['--profile', 'smoke', '--engine', 'wasm'];

interface Mistake {
  readonly parameters: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Standard error: the error and what to do next. */
  readonly error: RegExp;
  readonly next: RegExp;
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'an unknown row': {
    parameters: ['reproduce', 'fcn_r18-d8_512x1024_80k_cityscape'],
    error: /^error: Unknown row: fcn_r18-d8_512x1024_80k_cityscape\.$/,
    next: new RegExp(`^next: Did you mean ${ROW}\\?`),
  },
  'a row of which there are only runs': {
    parameters: ['train', 'known-by-runs', '--runs', 'begun'],
    error:
      /^error: known-by-runs is no row of the package, but there are runs of it, such as begun.known-by-runs.two\.$/,
    next: /^next: Add --file FILE\.yaml, the experiment file that has the row\./,
  },
  'no argument where one is needed': {
    parameters: ['init'],
    error: /^error: Missing 1 required arg: directory: Folder to write the files to\.$/,
    next: /^next: See fcn init --help\.$/,
  },
  'no row': { parameters: ['show'], error: /^error: No row was given\.$/, next: /fcn list/ },
  'an unknown command': {
    parameters: ['reprodcue', ROW],
    error: /^error: Unknown command: reprodcue/,
    next: /^next: Did you mean fcn reproduce\?$/,
  },
  'a flag in place of a command': {
    parameters: ['--set', 'x'],
    error: /^error: The flag --set stands where a command is expected\.$/,
    next: /^next: See fcn --help for the commands\.$/,
  },
  'an unknown command of a topic': {
    parameters: ['engines', 'instal', '--gpu'],
    error: /^error: Unknown command: engines instal\.$/,
    next: /^next: Did you mean fcn engines install\?$/,
  },
  'an unknown command of a topic that has none like it': {
    parameters: ['engines', 'everything'],
    error: /^error: Unknown command: engines everything\.$/,
    next: /^next: See fcn engines --help for the commands\.$/,
  },
  'an argument too many': {
    parameters: ['table', 'everything'],
    error: /^error: fcn table takes no argument, got: everything\.$/,
    next: /fcn table --help/,
  },
  'an unknown flag': {
    parameters: ['list', '--tabel', 'Local'],
    error: /^error: Nonexistent flag: --tabel/,
    next: /^next: Did you mean --table\?/,
  },
  'an unknown flag that every command has': {
    parameters: ['list', '--jsn'],
    error: /^error: Nonexistent flag: --jsn/,
    next: /^next: Did you mean --json\?/,
  },
  'an override that is an alias': {
    parameters: ['show', ROW, '--set', 'width=*x'],
    error: /^error: --set model\.width=\*x: not a value: Unresolved alias/,
    next: /YAML/,
  },
  'an override that is in itself': {
    parameters: ['show', ROW, '--set', 'width=&a [*a]'],
    error: /^error: --set model\.width=&a \[\*a\]: not a value: an alias refers to what contains it$/,
    next: /YAML/,
  },
  'an override with an unknown tag': {
    parameters: ['show', ROW, '--set', 'width=!!foo 4'],
    error: /^error: --set model\.width=!!foo 4: not a value: Unresolved tag/,
    next: /YAML/,
  },
  'aliases that stand for too much': {
    parameters: ['show', 'mine', '--file', 'aliases.yaml'],
    error: /^error: aliases\.yaml: Excessive alias count/,
    next: /the aliases by their values/,
  },
  'an alias of what it is in': {
    parameters: ['show', 'mine', '--file', 'circle.yaml'],
    error: /^error: circle\.yaml: an alias refers to what contains it\.$/,
    next: /the aliases by their values/,
  },
  'synthetic images of more pixels than memory holds': {
    parameters: ['datasets', 'generate', 'cityscapes', '--size', '99999x99999'],
    error: /^error: --size 99999x99999: 9999800001 pixels, but at most \d+ are possible\.$/,
    next: /smaller/,
  },
  'a control character, which is shown and not obeyed': {
    parameters: ['show', 'fcn\u001b[31m\u009b2J\u202erow'],
    error: /^error: Unknown row: fcn\\u001b\[31m\\u009b2J\\u202erow\.$/,
    next: /fcn list/,
  },
  'an unknown flag value': {
    parameters: ['train', ROW, '--engine', 'tensorflw'],
    error: /^error: Expected --engine=tensorflw to be one of: auto, tensorflow, webgpu, wasm\.$/,
    next: /fcn train --help/,
  },
  'an unknown value in the environment': {
    parameters: ['train', ROW],
    env: { FCN_ENGINE: 'cuda' },
    error: /^error: Expected --engine=cuda to be one of: auto, tensorflow, webgpu, wasm\.$/,
    next: /fcn train --help/,
  },
  'a seed that is no number': {
    parameters: ['train', ROW, '--seed', 'one'],
    error: /^error: .*--seed.*one/,
    next: /fcn train --help/,
  },
  'a missing flag': { parameters: ['evaluate', ROW], error: /^error: .*weights/, next: /fcn evaluate --help/ },
  'a misspelt override': {
    parameters: ['show', ROW, '--set', 'widht=8'],
    error: /^error: --set widht: the recipe has no such value\.$/,
    next: /^next: Did you mean width\?$/,
  },
  'an unknown table': {
    parameters: ['table', '--table', 'Cityscape'],
    error: /^error: Unknown table: Cityscape\.$/,
    next: /^next: Did you mean Cityscapes\?$/,
  },
  'a missing data root': {
    parameters: ['reproduce', ROW, ...SMOKE, '--data-root', 'nowhere'],
    error: /^error: The data root .*nowhere does not exist/,
    next: /^next: fcn datasets prepare cityscapes --from DOWNLOADS --data-root nowhere$/,
  },
  'missing weights': {
    parameters: ['reproduce', ROW, ...SMOKE, '--stage', 'benchmark', '--weights', 'none.pth'],
    error: /^error: none\.pth does not exist\.$/,
    next: /^next: fcn reproduce .* --weights FILE$/,
  },
  'a malformed YAML': {
    parameters: ['show', '--file', 'malformed.yaml'],
    error: /^error: malformed\.yaml:3: /,
    next: /line/,
  },
  'a misspelt key in a YAML': {
    parameters: ['show', '--file', 'misspelt.yaml'],
    error: /^error: misspelt\.yaml:2: rowz: unknown key; did you mean rows\?\.?$/,
    next: /line/,
  },
  'an experiment file that is not there': {
    parameters: ['show', '--file', 'none.yaml'],
    error: /^error: none\.yaml does not exist\.$/,
    next: /^$/,
  },
  'a results folder that is a file': {
    parameters: ['benchmark', ROW, ...SMOKE, '--results', 'file'],
    error: /^error: .*file.*: a part of this path is a file, a folder was expected\.$/,
    next: /^next: fcn benchmark .* --results DIR$/,
  },
  'a runs folder below a file': {
    parameters: ['benchmark', ROW, ...SMOKE, '--runs', 'file/runs'],
    error: /^error: .*file.*: a part of this path is a file, a folder was expected\.$/,
    next: /^next: fcn benchmark .* --runs DIR$/,
  },
  'an engine that is not installed': {
    parameters: ['benchmark', ROW, '--profile', 'smoke', '--engine', 'tensorflow'],
    env: { FCN_CACHE_DIR: 'empty-cache' },
    error: /^error: The tensorflow engine is not installed\.$/,
    next: /fcn engines install/,
  },
  'an experiment file in place of a row': {
    parameters: ['train', 'my exp.yaml', ...SMOKE],
    error: /^error: my exp\.yaml is a file, not a row\.$/,
    next: /^next: Give it with --file 'my exp\.yaml'\.$/,
  },
  'a broken record in a document': {
    parameters: ['table', '--results', 'broken-results', '--write', 'all.md'],
    error: /^error: .*full.broken\.json is not a record that this version reads/,
    next: /Remove the file/,
  },
};

async function workplace(t: Parameters<typeof temporaryFolder>[0]): Promise<string> {
  const folder = await temporaryFolder(t);
  writeFileSync(path.join(folder, 'file'), '');
  writeFileSync(path.join(folder, 'malformed.yaml'), 'table: Mine\nrows:\n  - { id: mine ]\n');
  const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`);
  writeFileSync(path.join(folder, 'aliases.yaml'), ['a0: &a0 [x]', ...levels, ''].join('\n'));
  writeFileSync(path.join(folder, 'circle.yaml'), 'table: &all { inner: *all }\n');
  writeFileSync(path.join(folder, 'misspelt.yaml'), 'table: Mine\nrowz: []\n');
  mkdirSync(path.join(folder, 'empty-cache'));
  mkdirSync(path.join(folder, 'begun', 'known-by-runs', 'two'), { recursive: true });
  mkdirSync(path.join(folder, 'broken-results', 'full'), { recursive: true });
  writeFileSync(path.join(folder, 'broken-results', 'full', 'broken.json'), '{}');
  return folder;
}

for (const [name, { parameters, env, error, next }] of Object.entries(MISTAKES)) {
  test(`${name}: one line, what to do next, exit code 2`, async (t) => {
    // Those of the environment in a process of their own.
    const run = env === undefined ? fcn : fcnProcess;
    const { code, stdout, stderr } = await run(parameters, { cwd: await workplace(t), ...(env && { env }) });
    const [first = '', second = '', ...rest] = stderr.trimEnd().split('\n');
    t.regex(first, error);
    t.regex(second, next);
    const others = rest.filter((line) => !line.startsWith('  or: fcn '));
    t.deepEqual(others, [], 'nothing more than other ways to fix it, above all no stack');
    t.is(stdout, '');
    t.is(code, 2);
  });
}

test('with --json a mistake is JSON on standard output, with the same exit code', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const [parameters, message] of [
    [['show', 'nothing'], 'Unknown row: nothing.'],
    [['show', '--nothing'], 'Nonexistent flag: --nothing.'],
    [['nothing'], 'Unknown command: nothing.'],
  ] as const) {
    const { code, stdout, stderr } = await fcn([...parameters, '--json'], { cwd });
    t.like(JSON.parse(stdout), { error: { message, code: 2 } });
    t.is(stderr, '');
    t.is(code, 2);
  }
});
