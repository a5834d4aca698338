import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { appendNight, readNightHistory } from '../../src/nightly/history.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeNight } from '../helpers/night.js';

test('nights are added at the end and read as they were written', async (t) => {
  const file = path.join(await temporaryFolder(t), 'history.jsonl');
  t.deepEqual(readNightHistory(file), []);
  await appendNight(file, makeNight());
  // An editor may have left the last line without its end.
  writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
  await appendNight(file, makeNight({ failed: ['recipe'] }));
  t.deepEqual(readNightHistory(file), [makeNight(), makeNight({ failed: ['recipe'] })]);
});

test('a line that is not a night, or does not say what was asked for, is named', async (t) => {
  const file = path.join(await temporaryFolder(t), 'history.jsonl');
  const { asked: _, ...withoutAsked } = makeNight();
  for (const [line, message] of [
    ['{"format":2}', /history\.jsonl:2: /],
    [JSON.stringify(withoutAsked), /history\.jsonl:2: asked/],
  ] as const) {
    writeFileSync(file, `${JSON.stringify(makeNight())}\n${line}\n`);
    t.throws(() => readNightHistory(file), { instanceOf: UserError, message });
  }
});
