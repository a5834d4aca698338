import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/support/package.js';

// About four times each: while it trains, writes a checkpoint, evaluates at one scale and at several, is measured, writes its record.
const KILLS = 25;

test('runs that are killed at random moments end as one that never was, to the bit', async (t) => {
  t.timeout(500_000);
  const script = path.join(packageRoot(), 'scripts', 'soak.mjs');
  const child = spawn(process.execPath, [script, String(KILLS), '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  const { kills, failures } = JSON.parse(output) as { kills: number; failures: object[] };
  t.deepEqual(failures, []);
  t.is(kills, KILLS);
});
