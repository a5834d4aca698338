import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { Entry } from '../../src/nightly/entry.js';
import { appendEntry, joinEntries, readHistory } from '../../src/nightly/history.js';
import { UserError } from '../../src/support/errors.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

function entry(changes: Partial<Entry> = {}): Entry {
  return {
    format: 1,
    at: '2026-01-01T02:00:00.000Z',
    version: '0.1.0',
    commit: 'ab'.repeat(20),
    engine: 'wasm',
    measurements: [{ quantity: 'mIoU', subject: 'row', hardware: 'Processor 9000', value: 10 }],
    problems: [],
    failed: null,
    accepted: null,
    ...changes,
  };
}

test('nights are added at the end and read as they were written', async (t) => {
  const file = path.join(await temporaryFolder(t), 'history.jsonl');
  t.deepEqual(readHistory(file), []);
  await appendEntry(file, entry());
  // An editor may have left the last line without its end.
  writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
  await appendEntry(file, entry({ failed: ['recipe'] }));
  t.deepEqual(readHistory(file), [entry(), entry({ failed: ['recipe'] })]);
});

test('a line that is no night is named', async (t) => {
  const file = path.join(await temporaryFolder(t), 'history.jsonl');
  writeFileSync(file, `${JSON.stringify(entry())}\n{"format":2}\n`);
  t.throws(() => readHistory(file), { instanceOf: UserError, message: /history\.jsonl:2: / });
});

test('parts of a night are joined, and those of two commits are none', (t) => {
  const joined = joinEntries([entry(), entry({ problems: ['a row failed'] })]);
  t.is(joined.measurements.length, 2);
  t.deepEqual(joined.problems, ['a row failed']);
  t.throws(() => joinEntries([entry(), entry({ commit: null })]), { instanceOf: UserError, message: /commit/ });
});

test('fcn nightly joins parts, judges them, adds them to the history and exits with 1 where a gate fails', async (t) => {
  const cwd = await temporaryFolder(t);
  const write = (name: string, value: number) =>
    appendEntry(
      path.join(cwd, name),
      entry({ measurements: [{ quantity: 'mIoU', subject: name, hardware: 'Processor 9000', value }] }),
    );
  await write('1.jsonl', 10);
  await write('2.jsonl', 20);
  const parts = ['nightly', '--from', '1.jsonl', '--from', '2.jsonl', '--history', 'history.jsonl'];
  const first = await fcn(parts, { cwd });
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /^## Nightly: No gate failed\n/);
  t.regex(first.stdout, /\| smoke-miou \| .* \| 2 no baseline \|/);

  writeFileSync(path.join(cwd, '2.jsonl'), '');
  await write('2.jsonl', 14);
  const second = await fcn([...parts, '--summary', 'page.md'], { cwd });
  t.is(second.code, 1);
  t.regex(second.stderr, /^failed: smoke-miou: mIoU of 2\.jsonl: 14, baseline 20; within 3 of the baseline: /m);
  t.is(readFileSync(path.join(cwd, 'page.md'), 'utf8'), second.stdout);
  t.deepEqual(
    readHistory(path.join(cwd, 'history.jsonl')).map(({ failed }) => failed),
    [[], ['smoke-miou', 'smoke-miou-here']],
  );

  const accepted = await fcn([...parts, '--accept', 'Meant so.'], { cwd });
  t.is(accepted.code, 1, 'it is said once more');
  t.is((await fcn(parts, { cwd })).code, 0);
});
