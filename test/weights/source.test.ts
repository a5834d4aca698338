import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { readCheckpoint } from '../../src/weights/load.js';
import { MalformedFileError } from '../../src/weights/malformed.js';
import { FileSource, MemorySource } from '../../src/weights/source.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-source-'));
test.after.always(() => rmSync(folder, { recursive: true }));

test('a file and memory give the same ranges', (t) => {
  const file = path.join(folder, 'ten');
  const content = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  writeFileSync(file, content);
  const onDisk = new FileSource(file);
  for (const source of [onDisk, new MemorySource(file, content)]) {
    t.is(source.size, 10);
    t.deepEqual([...source.read(3, 4)], [3, 4, 5, 6]);
    t.deepEqual([...source.read(10, 0)], []);
    for (const [offset, length] of [
      [8, 3],
      [-1, 2],
      [0, -1],
      [2 ** 60, 1],
      [0, 2 ** 60],
      [Number.NaN, 1],
    ] as const) {
      t.throws(() => source.read(offset, length), { instanceOf: MalformedFileError });
    }
  }
  t.deepEqual(
    onDisk.keepOpen(() => [...onDisk.read(0, 1), ...onDisk.read(9, 1)]),
    [0, 9],
  );
});

test('a file that changes while it is read is refused', (t) => {
  const file = path.join(folder, 'changing');
  writeFileSync(file, 'abc');
  const source = new FileSource(file);
  appendFileSync(file, 'd');
  t.throws(() => source.read(0, 1), { instanceOf: UserError, message: /changed while it was being read/ });
});

test('what is not a file is refused', async (t) => {
  const absent = path.join(folder, 'absent.pth');
  await t.throwsAsync(readCheckpoint(absent), { instanceOf: UserError, message: `${absent} does not exist.` });
  await t.throwsAsync(readCheckpoint(folder), { instanceOf: UserError, message: /not a regular file/ });
});
