import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { fcnProcess } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { fileOfRun, SET, SMOKE } from '../helpers/smoke-run.js';

// Without the command: test/training/interruption.test.ts.
test.serial('a signal is noticed in the middle of a step of half a minute', async (t) => {
  const cwd = await cityscapesFolder(t);
  const changes = SET('width=64', 'training.batch=2', 'data.cropHw=[256,512]', 'iterations=100000', 'logEvery=1');
  const result = await fcnProcess([...SMOKE, ...changes], {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && !fileOfRun(cwd, 'status.json')?.includes('"train"')) await sleep(20);
      child.kill('SIGTERM');
    },
  });
  t.is(result.code, 143, result.stderr);
  // A machine on which a step takes less than eight seconds finishes it.
  t.regex(result.stderr, /^error: Interrupted (after|in the middle of) iteration 1 of 100000/m);
  t.is(JSON.parse(fileOfRun(cwd, 'status.json')!).state, 'interrupted');
});
