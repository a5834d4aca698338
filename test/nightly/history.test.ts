import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { appendEntry, readHistory } from '../../src/nightly/history.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeNight } from '../helpers/night.js';

test('nights are added at the end and read as they were written', async (t) => {
  const file = path.join(await temporaryFolder(t), 'history.jsonl');
  t.deepEqual(readHistory(file), []);
  await appendEntry(file, makeNight());
  // An editor may have left the last line without its end.
  writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
  await appendEntry(file, makeNight({ failed: ['recipe'] }));
  t.deepEqual(readHistory(file), [makeNight(), makeNight({ failed: ['recipe'] })]);
});

test('a line that is no night is named', async (t) => {
  const file = path.join(await temporaryFolder(t), 'history.jsonl');
  writeFileSync(file, `${JSON.stringify(makeNight())}\n{"format":2}\n`);
  t.throws(() => readHistory(file), { instanceOf: UserError, message: /history\.jsonl:2: / });
});
