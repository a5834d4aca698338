import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { execa } from 'execa';
import { BusyError, ExitCode, UserError } from '../../src/support/errors.js';
import type { HeartbeatData } from '../../src/support/heartbeat-worker.js';
import { Lock, LostLockError, withLock } from '../../src/support/lock.js';
import { ownIdentity } from '../../src/support/process-identity.js';
import { temporaryFolder } from '../helpers/folder.js';

test('tasks under one lock run one after the other, and the lock is gone at the end', async (t) => {
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

test('a lock of a dead process is taken over, and so is one without content', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  for (const content of [JSON.stringify({ pid, host: os.hostname() }), 'nonsense', '']) {
    await writeFile(file, content);
    const from: (number | undefined)[] = [];
    t.is(await withLock(file, async () => 'done', { onTakeover: (holder) => from.push(holder?.pid) }), 'done');
    t.deepEqual(from, [content.startsWith('{') ? pid : undefined]);
  }
  t.deepEqual(await readdir(path.dirname(file)), []);
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

test('a lock held elsewhere is taken over if it shows no sign of life, else it is busy', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const elsewhere = { pid: 1, host: 'another-machine', space: null, started: null, key: 'k' };
  await writeFile(file, JSON.stringify(elsewhere));
  const now = { pollMilliseconds: 5, patienceMilliseconds: 100 };
  let beaten = Promise.resolve();
  let beats = 0;
  const beating = setInterval(() => {
    beaten = beaten.then(() => utimes(file, new Date(), ++beats));
  }, 10);
  // Long enough for a sign of life that a busy machine delays.
  await t.throwsAsync(Lock.take(file, false, { ...now, patienceMilliseconds: 60_000 }), {
    instanceOf: BusyError,
    message: /process 1 on another-machine/,
  });
  clearInterval(beating);
  await beaten;
  const gone: number[] = [];
  const lock = await Lock.take(file, false, { ...now, onTakeover: (holder) => gone.push(holder!.pid) });
  t.deepEqual(gone, [1]);
  await t.throwsAsync(Lock.take(file, false, now), { instanceOf: BusyError, message: new RegExp(`${process.pid}`) });
  await lock.assertHeld();

  await writeFile(file, JSON.stringify(elsewhere));
  await t.throwsAsync(lock.assertHeld(), { instanceOf: LostLockError, message: /Another process, 1 on .+ took over/ });
  await lock.release();
  t.is(JSON.parse(await readFile(file, 'utf8')).key, 'k', "the other one's lock stays");
});

/** Only Linux says when a process started. */
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('a process that has the number of one that is gone does not hold its lock', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  await writeFile(file, JSON.stringify({ ...ownIdentity(), started: '1', key: 'k' }));
  const lock = await Lock.take(file, false);
  await lock.release();
  t.deepEqual(await readdir(path.dirname(file)), []);
});

test('a program on the command line can hold a lock', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const module = new URL('../../src/support/lock.js', import.meta.url).href;
  const program =
    'const { withLock } = await import(process.argv[1]);' +
    'await withLock(process.argv[2], () => new Promise((done) => setTimeout(done, 500)));';
  const { exitCode, stderr } = await execa(process.execPath, ['--input-type=module', '-e', program, module, file], {
    reject: false,
  });
  t.is(exitCode, 0, stderr);
});

test('if many take over one lock at once, they have it one after the other', async (t) => {
  const file = path.join(await temporaryFolder(t), 'x.lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const gone = JSON.stringify({ pid, host: os.hostname(), key: 'gone' });
  await writeFile(file, gone);
  // Left by a process that was killed while it took the lock over.
  await writeFile(`${file}.after-gone`, JSON.stringify({ pid, host: os.hostname(), key: 'too' }));
  let running = 0;
  let taken = 0;
  const work = async () => {
    t.is(++running, 1);
    await new Promise((done) => setTimeout(done, 5));
    running--;
  };
  const options = { pollMilliseconds: 2, onTakeover: () => taken++ };
  await Promise.all(Array.from({ length: 8 }, () => withLock(file, work, options)));
  t.is(taken, 1);
  t.deepEqual(await readdir(path.dirname(file)), []);
});

test('leftovers of killed processes beside a lock are removed once they are old', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'x.lock');
  const old = ['x.lock.123.0a1b2c3d', 'x.lock.after-0a1b', 'x.lock.after-0a1b.123.0a1b2c3d'];
  const others = ['x.lock.txt', 'y.lock.123.0a1b2c3d', 'x.lock.7.0a1b2c3d'];
  for (const name of [...old, ...others]) {
    await writeFile(path.join(folder, name), '');
    const hourAgo = Date.now() / 1000 - 3600;
    if (name !== 'x.lock.7.0a1b2c3d') await utimes(path.join(folder, name), hourAgo, hourAgo);
  }
  await withLock(file, async () => {});
  t.deepEqual((await readdir(folder)).sort(), others.sort());
});

test('leftovers of processes known to be dead are removed at once', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'x.lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const write = (name: string, holder: object) => writeFile(path.join(folder, name), JSON.stringify(holder));
  await write('x.lock.after-0a1b', { pid, host: os.hostname(), key: '1' });
  await write('x.lock.after-0a1b.123.0a1b2c3d', { pid, host: os.hostname(), key: '2' });
  await write('x.lock.after-2c3d', { ...ownIdentity(), key: '3' });
  await write('x.lock.after-4e5f', { pid, host: 'another-machine', key: '4' });
  await withLock(file, async () => {});
  t.deepEqual((await readdir(folder)).sort(), ['x.lock.after-2c3d', 'x.lock.after-4e5f']);
});

test('a lock is lost if it or its folder was removed; nothing is created again', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'run');
  const lock = await Lock.take(path.join(folder, 'lock'), false);
  await rm(path.join(folder, 'lock'));
  await t.throwsAsync(lock.assertHeld(), { instanceOf: LostLockError, message: /lock was removed while this process/ });
  await rm(folder, { recursive: true });
  const error = await t.throwsAsync(lock.assertHeld(), { instanceOf: LostLockError, message: /run was removed while/ });
  t.is(error.exitCode, ExitCode.userError);
  await lock.release();
  t.false(existsSync(folder));
});

test('the first error is thrown, whether or not the lock can be released', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'run');
  const failure = new UserError('Disk full.');
  // A file replaces the folder: the lock cannot be released.
  const spoil = async () => {
    await rm(folder, { recursive: true });
    await writeFile(folder, '');
  };
  await t.throwsAsync(
    withLock(path.join(folder, 'lock'), async () => {
      await spoil();
      throw failure;
    }),
    { is: failure },
  );
  await rm(folder);
  await t.throwsAsync(withLock(path.join(folder, 'lock'), spoil), {
    instanceOf: UserError,
    message: /a part of this path is a file/,
  });
  await t.throwsAsync(
    withLock(path.join(folder, 'sub', 'lock'), async () => t.fail()),
    { instanceOf: UserError, message: /a part of this path is a file/ },
  );
});

test('signs of life are given only for this process’s own lock', async (t) => {
  const folder = await temporaryFolder(t);
  const old = new Date(1e12);
  const touched = async (file: string) => (await stat(file)).mtimeMs !== old.getTime();
  const files = ['own', 'other'].map((key) => ({ key, file: path.join(folder, key) }));
  for (const { key, file } of files) {
    await writeFile(file, JSON.stringify({ pid: 1, host: 'somewhere', key }));
    await utimes(file, old, old);
  }
  for (const { file } of files) {
    const workerData: HeartbeatData = { file, key: 'own', milliseconds: 5 };
    const heart = new Worker(new URL('../../src/support/heartbeat-worker.js', import.meta.url), { workerData });
    t.teardown(() => heart.terminate());
    await once(heart, 'online');
  }
  // The second heartbeat started later: once the first has been seen twice, the second had its turn, too.
  for (let beats = 0; beats < 2; beats++) {
    while (!(await touched(files[0]!.file))) await sleep(5);
    await utimes(files[0]!.file, old, old);
    await sleep(50);
  }
  t.false(await touched(files[1]!.file));
});
