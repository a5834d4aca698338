import { spawnSync } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Config } from '@oclif/core/config';
import test from 'ava';
import { writeRecord } from '../../src/records/record.js';
import { packageRoot } from '../../src/support/package.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const NEXT_DISK = 'next: Free some space or choose another folder, then run the same command again.\n';

/** Help names the version of Node and the system. */
function withoutVersions(text: string): string {
  return text.replaceAll(/fcn\/\S+ \S+ node-v\S+/g, 'fcn/VERSION');
}

for (const parameters of [
  ['--help'],
  ['reproduce', '--help'],
  ['table', '--help'],
  ['list', '--table', 'Local'],
  ['list', '--table', 'Local', '--json'],
  ['show', 'fcn_r18-d8_769x769_80k_cityscapes', '--profile', 'smoke'],
  ['show', 'camvid_r18-d8', '--set', 'width=32', '--json'],
  ['table', '--table', 'Cityscapes', '--format', 'csv'],
]) {
  test(`fcn ${parameters.join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await fcn(parameters, { cwd: await temporaryFolder(t), env: { COLUMNS: '80' } });
    t.is(stderr, '');
    t.is(code, 0);
    t.snapshot(withoutVersions(stdout));
  });
}

test('-h is --help', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const words of [[], ['runs', 'logs']]) {
    const [short, long] = await Promise.all(['-h', '--help'].map((flag) => fcn([...words, flag], { cwd })));
    t.is(short!.code, 0);
    t.is(short!.stdout, long!.stdout);
    t.regex(short!.stdout, /USAGE/);
  }
});

/** Only Linux has /dev/full. */
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('a result that cannot be written is an error, not a crash', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const parameters of [['list'], ['list', '--json'], ['show', 'nothing', '--json']]) {
    const { status, stderr } = spawnSync(process.execPath, [path.join(packageRoot(), 'bin', 'run.js'), ...parameters], {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    });
    t.is(stderr, `error: Disk full while writing standard output.\n${NEXT_DISK}`);
    t.is(status, 2);
  }
});

test('summaries and examples of help pages fit 80 columns', async (t) => {
  const config = await Config.load(packageRoot());
  const own = config.commands.filter(({ pluginName }) => pluginName === config.name);
  t.true(own.length > 30);
  for (const { id, summary, examples = [] } of own) {
    t.true(summary!.length <= 80, `${id}: ${summary}`);
    // Commands with a description are broken over lines, as a shell takes them.
    for (const example of examples.filter((one) => typeof one === 'string')) {
      const words = example.replace('<%= config.bin %>', 'fcn').replace('<%= command.id %>', id.replaceAll(':', ' '));
      t.true(words.length <= 80 - '  $ '.length, words);
    }
  }
});

test('every command and topic of the help has a summary', async (t) => {
  const { stdout } = await fcn(['--help'], { cwd: await temporaryFolder(t) });
  for (const name of ['reproduce', 'train', 'evaluate', 'benchmark', 'list', 'show', 'table', 'doctor', 'engines']) {
    t.regex(stdout, new RegExp(`^  ${name} +\\S`, 'm'));
  }
});

test('a table is written to a file on request, and checked against the records', async (t) => {
  const cwd = await temporaryFolder(t);
  const { code, stdout, stderr } = await fcn(['table', '--write', 'tables/all.md'], { cwd });
  t.is(code, 0);
  t.is(stdout, '');
  t.is(stderr, 'Wrote tables/all.md.\n');
  const file = path.join(cwd, 'tables', 'all.md');
  const written = readFileSync(file, 'utf8');
  t.regex(written, /^<!-- fcn table: published -->\n\n### Cityscapes\n/);

  const check = ['table', '--check', '--write', 'tables/all.md'];
  t.is((await fcn(check, { cwd })).code, 0);
  writeFileSync(file, written.replace('72.25 / –', '72.25 / 73.00'));
  const stale = await fcn(check, { cwd });
  t.is(stale.code, 1);
  t.regex(stale.stdout, /^tables\/all\.md: Cityscapes, FCN R-50-D8 512x1024 40000, mIoU: 72\.25 \/ 73\.00, but the/);
  t.regex(stale.stdout, /^next: fcn table --write tables\/all\.md$/m);
});

test('a table fits 80 columns, with records of every kind', async (t) => {
  const cwd = await temporaryFolder(t);
  const figures = { memoryGB: 5.43, fps: 0.5, mIoU: 72.6, mIoUMsFlip: 71.2 };
  const rows = ['fcn_r101-d8_fp16_512x1024_80k_cityscapes', 'fcn_r101-d8_480x480_40k_pascal_context_59'];
  const records = rows.flatMap((row) => [
    makeRecord({ row }, { figures }),
    makeRecord({ row, profile: 'smoke' }, { run: '20250102-030405-11111111', figures }),
  ]);
  for (const record of records) {
    await writeRecord(
      path.join(cwd, 'results', 'records', `${record.row}.${record.profile}.${record.run}.json`),
      record,
    );
  }
  const { stdout } = await fcn(['table'], { cwd });
  t.deepEqual(
    stdout.split('\n').filter((line) => line.length > 80),
    [],
  );
  t.is(stdout.match(/^\[\d+\] /gm)?.length, 4, 'every record is listed');
});

test('a document of the repository without one of its parts is stale', async (t) => {
  const cwd = await temporaryFolder(t);
  await fcn(['table', '--write', 'results/README.md'], { cwd });
  writeFileSync(
    path.join(cwd, 'results', 'README.md'),
    '<!-- fcn table: local -->\n<!-- end of fcn table: local -->\n',
  );
  const { code, stdout } = await fcn(['table', '--check', '--write', 'results/README.md'], { cwd });
  t.is(code, 1);
  t.regex(stdout, /^results\/README\.md: the part published is missing/m);
  t.regex(stdout, /^results\/README\.md: the part smoke is missing/m);
});
