import test from 'ava';
import { soak } from '../helpers/soak.js';

// While it trains, and while it writes a checkpoint: the first phases of a run.
const KILLS = 2;

test('runs that are killed end with the same bits as an uninterrupted one', async (t) => {
  const { kills, failures } = await soak<{ kills: number; failures: object[] }>(String(KILLS));
  t.deepEqual(failures, []);
  t.is(kills, KILLS);
});
