import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { withLock } from '../../src/support/lock.js';
import { temporaryFolder } from '../helpers/folder.js';

test('work under one lock is done one after the other, and the lock is gone in the end', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'sub', 'x.lock');
  let running = 0;
  const work = async (name: number) => {
    t.is(++running, 1);
    t.regex(await readFile(file, 'utf8'), new RegExp(`"pid":${process.pid}`));
    running--;
    return name;
  };
  const waited: number[] = [];
  const options = { pollMilliseconds: 5, onWait: (pid: number) => waited.push(pid) };
  const results = await Promise.all([1, 2, 3].map((name) => withLock(file, () => work(name), options)));
  t.deepEqual(results, [1, 2, 3]);
  t.true(waited.every((pid) => pid === process.pid));
  t.deepEqual(await readdir(path.dirname(file)), []);
});

test('the lock is released when the work fails', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const failure = new Error('no');
  await t.throwsAsync(
    withLock(file, () => Promise.reject(failure)),
    { is: failure },
  );
  t.is(await withLock(file, async () => 'again'), 'again');
});

test('a lock of a process that is gone is taken over, and so is one without content', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  for (const content of [JSON.stringify({ pid, host: os.hostname() }), 'nonsense']) {
    await writeFile(file, content);
    t.is(await withLock(file, async () => 'done'), 'done');
  }
});

test('a lock held on another machine is respected; waiting ends when aborted', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const held = JSON.stringify({ pid: 1, host: 'another-machine' });
  await writeFile(file, held);
  const controller = new AbortController();
  const reason = new Error('stop');
  await t.throwsAsync(
    withLock(file, async () => t.fail(), {
      signal: controller.signal,
      pollMilliseconds: 5,
      onWait: () => controller.abort(reason),
    }),
    { is: reason },
  );
  t.is(await readFile(file, 'utf8'), held);
});
