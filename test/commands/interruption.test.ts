import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { fcn, fcnProcess } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import { fileOfRun, ROW, SET, SMOKE } from '../helpers/smoke-run.js';

/** Windows has no signals. */
const withSignals = process.platform === 'win32' ? test.serial.skip : test.serial;

withSignals('two signals that arrive together do not end the process before it has saved', async (t) => {
  const cwd = await cityscapesFolder(t);
  const changes = SET('width=4', 'training.batch=2', 'iterations=100000', 'logEvery=1');
  const { code, stderr } = await fcnProcess([...SMOKE, ...changes], {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && fileOfRun(cwd, 'log.jsonl') === null) await sleep(20);
      // A stopped process gets both when it continues.
      child.kill('SIGSTOP');
      child.kill('SIGINT');
      child.kill('SIGTERM');
      child.kill('SIGCONT');
    },
  });
  // Which of two pending signals is delivered first is the system's choice.
  t.true(code === 130 || code === 143, `${code}: ${stderr}`);
  t.regex(stderr, /^error: Interrupted after iteration \d+ of 100000\.$/m);
  t.regex(stderr, /^next: The same command resumes it from its state in .*\.$/m);
});

withSignals('a second signal after the reply to the first ends the process at once', async (t) => {
  const cwd = await cityscapesFolder(t);
  const changes = SET('width=64', 'training.batch=2', 'data.cropHw=[256,512]', 'iterations=100000', 'logEvery=1');
  const { code, stderr } = await fcnProcess([...SMOKE, ...changes], {
    cwd,
    onStart: async (child) => {
      const answer = new Promise<void>((resolve) => {
        child.stderr?.on('data', (text: string) => text.includes('Press Ctrl-C again') && resolve());
      });
      while (child.exitCode === null && !fileOfRun(cwd, 'status.json')?.includes('"train"')) await sleep(20);
      child.kill('SIGINT');
      await answer;
      await sleep(500);
      child.kill('SIGINT');
    },
  });
  t.is(code, 130, stderr);
  t.notRegex(stderr, /^error: /m, 'nothing is finished or saved');
  t.is(JSON.parse(fileOfRun(cwd, 'status.json')!).state, 'running', 'as a killed one leaves it');
});

test.serial('a run directory that is removed during a run is not created again', async (t) => {
  const cwd = await cityscapesFolder(t);
  const changes = SET('width=4', 'training.batch=2', 'iterations=100000', 'logEvery=1');
  const { code, stderr } = await fcn([...SMOKE, ...changes], {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && fileOfRun(cwd, 'log.jsonl') === null) await sleep(20);
      await rename(path.join(cwd, 'runs'), path.join(cwd, 'elsewhere'));
    },
  });
  t.is(code, 2, stderr);
  t.regex(stderr, /^error: \S+ was removed while this process worked in it\.$/m);
  t.false(existsSync(path.join(cwd, 'runs')));
});

test.serial('a process whose lock was taken over writes nothing more', async (t) => {
  const cwd = await cityscapesFolder(t);
  const changes = SET('width=4', 'training.batch=2', 'iterations=100000', 'logEvery=1');
  let lines = 0;
  const { code, stderr } = await fcn([...SMOKE, ...changes], {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && fileOfRun(cwd, 'log.jsonl') === null) await sleep(20);
      const [run = ''] = readdirSync(path.join(cwd, 'runs', ROW));
      const lock = JSON.stringify({ pid: 1, host: 'another-machine', key: 'other' });
      writeFileSync(path.join(cwd, 'runs', ROW, run, 'lock'), lock);
      lines = fileOfRun(cwd, 'log.jsonl')!.split('\n').length;
    },
  });
  t.is(code, 75, stderr);
  t.regex(stderr, /^error: Another process, 1 on another-machine, took over \S+:/m);
  // One line may have been in progress.
  t.true(fileOfRun(cwd, 'log.jsonl')!.split('\n').length <= lines + 1);
  t.is(JSON.parse(fileOfRun(cwd, 'lock')!).key, 'other');
  t.is(JSON.parse(fileOfRun(cwd, 'status.json')!).state, 'running', 'as the other one finds it');
});

withSignals('a request to save before the command listens opens no debugger', async (t) => {
  const cwd = await temporaryFolder(t);
  const preload = path.join(cwd, 'preload.mjs');
  await writeFile(
    preload,
    `process.on('newListener', (name) => {
       if (name !== 'SIGUSR1') return;
       setImmediate(() => {
         process.stderr.write('listening\\n');
         process.kill(process.pid, 'SIGUSR1');
       });
     });`,
  );
  const { code, stderr } = await fcnProcess(['--version'], {
    cwd,
    env: { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` },
  });
  t.is(code, 0);
  t.is(stderr, 'listening\n');
});
