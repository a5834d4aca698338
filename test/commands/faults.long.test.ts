import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { RunRecord } from '../../src/records/record.js';
import { fcnProcess } from '../helpers/command.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';
import {
  ALL,
  DAY,
  interruptedTraining,
  logged,
  ROW,
  SET,
  STEPS,
  smallSet,
  TINY,
  whenLogged,
  wrongClock,
} from '../helpers/small-runs.js';

withSmallDisk(
  'a disk that becomes read-only in mid-run ends the run with one line, and its lock hides nothing',
  async (t) => {
    const { cwd } = await smallSet(t);
    const mounted = await smallDisk(t, cwd, '8m');
    const changes = SET('iterations=100000', 'logEvery=1');
    const { code, stderr } = await fcnProcess(
      ['train', ROW, ...TINY, ...changes, '--runs', mounted.folder, '--force'],
      {
        cwd,
        onStart: whenLogged(path.join(mounted.folder, ROW), async () => {
          // Refused while a file is open for writing.
          for (let refused = true; refused; ) {
            refused = await mounted.remount('ro').then(
              () => false,
              () => true,
            );
          }
        }),
      },
    );
    t.regex(stderr, /^error: No permission to write .* \(EROFS\)\.\nnext: Choose a folder that you can write\.$/m);
    t.notRegex(stderr, /bug/);
    t.is(code, 2);
  },
);

test.serial('a clock that jumps forward and back between runs loses no run', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const { code, stderr, run } = await interruptedTraining(cwd, runs, await wrongClock(cwd, `${DAY}`));
  t.is(code, 143, stderr);
  const resumed = await fcnProcess(['train', ROW, ...TINY, ...STEPS], { cwd, env: await wrongClock(cwd, `-${DAY}`) });
  t.is(resumed.code, 0, resumed.stderr);
  t.regex(resumed.stderr, new RegExp(`^Resuming run ${path.basename(run)}\\.$`, 'm'));
  t.deepEqual(readdirSync(runs), [path.basename(run)]);
  t.deepEqual(logged(run), ALL);
  const record = JSON.parse(readFileSync(path.join(run, 'record.json'), 'utf8')) as RunRecord;
  t.true(record.endedAt < record.startedAt, 'by two days');
  t.true(record.details.train!.seconds > 0);
});
