import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { unpackWheel } from '../../src/engines/tensorflow/wheel.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { writeWheel } from '../helpers/wheel.js';

const DISTRIBUTION = 'tensorflow_cpu-9.9.9';
const MEMBERS = { 'tensorflow/a.so': 'library a', 'tensorflow/b.so': 'library b', 'tensorflow/c.py': 'program' };
const isLibrary = (name: string) => name.endsWith('.so');

test('unpacks the selected members with their paths, and reports progress', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  await writeWheel(wheel, { distribution: DISTRIBUTION, members: MEMBERS });
  const progress: number[] = [];
  const files = await unpackWheel(wheel, path.join(folder, 'out'), {
    select: isLibrary,
    onProgress: (done, total) => progress.push(done / total),
  });
  t.deepEqual(files, ['tensorflow/a.so', 'tensorflow/b.so']);
  t.is(await readFile(path.join(folder, 'out/tensorflow/b.so'), 'utf8'), 'library b');
  t.deepEqual((await readdir(path.join(folder, 'out/tensorflow'))).sort(), ['a.so', 'b.so']);
  t.is(progress.at(-1), 1);
  t.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  );
});

test('keeps the executable bit', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  await writeWheel(wheel, { distribution: DISTRIBUTION, members: { 'bin/tool': { content: 'x', mode: 0o755 } } });
  await unpackWheel(wheel, folder, { select: (name) => name === 'bin/tool' });
  t.is((await stat(path.join(folder, 'bin/tool'))).mode & 0o777, 0o755);
});

test('a member that differs from RECORD is refused and leaves nothing behind', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  await writeWheel(wheel, {
    distribution: DISTRIBUTION,
    members: MEMBERS,
    changeRecord: (record) => record.replace(/b\.so,sha256=.{4}/, 'b.so,sha256=AAAA'),
  });
  const error = await t.throwsAsync(unpackWheel(wheel, path.join(folder, 'out'), { select: isLibrary }), {
    instanceOf: UserError,
  });
  t.regex(error.message, /x\.whl is damaged: tensorflow\/b\.so is not what the wheel's RECORD says/);
  t.deepEqual(await readdir(path.join(folder, 'out/tensorflow')), ['a.so']);
});

test('a member that RECORD does not list is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  await writeWheel(wheel, {
    distribution: DISTRIBUTION,
    members: MEMBERS,
    changeRecord: (record) => record.replace(/.*a\.so.*\n/, ''),
  });
  await t.throwsAsync(unpackWheel(wheel, folder, { select: isLibrary }), {
    instanceOf: UserError,
    message: /tensorflow\/a\.so is not in the wheel's RECORD/,
  });
});

test('an interrupted unpacking resumes where it stopped', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  await writeWheel(wheel, { distribution: DISTRIBUTION, members: MEMBERS });
  const controller = new AbortController();
  const reason = new Error('stop');
  await t.throwsAsync(
    unpackWheel(wheel, folder, {
      select: isLibrary,
      signal: controller.signal,
      onProgress: (done) => done > 'library a'.length && controller.abort(reason),
    }),
    { is: reason },
  );
  const library = path.join(folder, 'tensorflow/a.so');
  const before = await stat(library);
  await writeFile(path.join(folder, 'tensorflow/b.so'), 'library x');
  await unpackWheel(wheel, folder, { select: isLibrary });
  t.is((await stat(library)).mtimeMs, before.mtimeMs, 'what was whole is left alone');
  t.is(await readFile(path.join(folder, 'tensorflow/b.so'), 'utf8'), 'library b', 'what was not is replaced');
});

test('a file that is not a wheel is distinguished from a missing one', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  await t.throwsAsync(unpackWheel(wheel, folder, { select: isLibrary }), {
    instanceOf: UserError,
    message: /x\.whl does not exist/,
  });
  await writeWheel(wheel, { distribution: DISTRIBUTION, members: MEMBERS });
  await truncate(wheel, 100);
  await t.throwsAsync(unpackWheel(wheel, folder, { select: isLibrary }), {
    instanceOf: UserError,
    message: /x\.whl is not a valid wheel: /,
  });
});
