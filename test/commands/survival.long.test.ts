import test from 'ava';
import { soak } from '../helpers/soak.js';

// About four times each: while it trains, writes a checkpoint, evaluates at one scale and at several, is measured, writes its record.
const KILLS = 25;

test.serial('runs that are killed at random moments end with the same bits as an uninterrupted one', async (t) => {
  t.timeout(500_000);
  const { kills, failures } = await soak<{ kills: number; failures: object[] }>(String(KILLS));
  t.deepEqual(failures, []);
  t.is(kills, KILLS);
});

// Its memory needs more iterations to settle: node scripts/soak.mjs --constant 3000.
test.serial('training keeps the number and the bytes of its tensors', async (t) => {
  const { constant, samples } = await soak<{ constant: boolean; samples: object[] }>(
    '--constant',
    '300',
    '--width',
    '4',
  );
  t.true(constant);
  t.is(samples.length, 4);
});
