import { execFileSync } from 'node:child_process';
import test from 'ava';
import { commandWith } from '../../src/cli/command-with.js';
import Reproduce from '../../src/commands/reproduce.js';
import { breakCommand } from '../../src/terminal/layout.js';

const typed = (...argv: string[]) => commandWith({ bin: 'fcn', id: 'reproduce', argv, flags: Reproduce.flags });

/** The words that a shell makes of a command. */
const words = (command: string) =>
  execFileSync('sh', ['-c', `fcn() { printf '%s\\n' "$@"; }\n${command}`], { encoding: 'utf8' })
    .split('\n')
    .slice(0, -1);

test('a command is suggested with more flags; one that may be given only once is replaced', (t) => {
  const command = typed('row', '--set', 'width=4', '--engine=wasm', '--dry-run');
  t.is(
    command(['--set', 'training.batch=2']),
    'fcn reproduce row --set width=4 --engine wasm --dry-run --set training.batch=2',
  );
  t.is(
    command(['--set', 'model.width=16', '--set', 'depth=18']),
    'fcn reproduce row --engine wasm --dry-run --set model.width=16 --set depth=18',
    'an override of the same value, too',
  );
  t.is(command(['--engine', 'tensorflow']), 'fcn reproduce row --set width=4 --dry-run --engine tensorflow');
  t.is(command(['--force']), 'fcn reproduce row --set width=4 --engine wasm --dry-run --force');
  t.is(typed('row', '--force')(['--force']), 'fcn reproduce row --force');
});

test('a command for several rows is suggested for one of them', (t) => {
  t.is(typed('a*', 'b', '--seed', '1')(['--keep', '1'], 'b1'), 'fcn reproduce b1 --seed 1 --keep 1');
  t.is(typed('--table', 'ADE20K', '--keep-going')(['--keep', '1'], 'b1'), 'fcn reproduce b1 --keep-going --keep 1');
  t.is(typed('--all')([], 'b1'), 'fcn reproduce b1');
  t.is(typed('a*', '--', 'b')([]), "fcn reproduce 'a*' b");
});

test('a suggested command can be pasted, whatever is in it and however it is broken', (t) => {
  const argv = [
    'row',
    '--data-root',
    "it's my data",
    '--set',
    'ratios=[0.5, 1]',
    '--runs',
    '$HOME/`a`',
    '--file',
    'a\\b.yaml',
  ];
  const command = typed(...argv)(['--precision', 'fp32']);
  const expected = ['reproduce', ...argv, '--precision', 'fp32'];
  t.deepEqual(words(command), expected);
  for (const width of [80, 60, 30, 10]) {
    const lines = breakCommand(command, width);
    t.deepEqual(words(lines.join('\n')), expected, String(width));
    if (width >= 60) t.true(lines.every((line) => line.length <= width));
  }
  t.deepEqual(breakCommand('fcn train row --set width=4 --seed 1', 24), [
    'fcn train row \\',
    '  --set width=4 \\',
    '  --seed 1',
  ]);
});
