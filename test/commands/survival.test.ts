import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/support/package.js';

/** What scripts/soak.mjs prints. */
async function soak<Report>(...parameters: string[]): Promise<Report> {
  const script = path.join(packageRoot(), 'scripts', 'soak.mjs');
  const child = spawn(process.execPath, [script, '--json', ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  return JSON.parse(output) as Report;
}

// About four times each: while it trains, writes a checkpoint, evaluates at one scale and at several, is measured, writes its record.
const KILLS = 25;

test.serial('runs that are killed at random moments end as one that never was, to the bit', async (t) => {
  t.timeout(500_000);
  const { kills, failures } = await soak<{ kills: number; failures: object[] }>(String(KILLS));
  t.deepEqual(failures, []);
  t.is(kills, KILLS);
});

// Its memory needs more iterations to come to rest: node scripts/soak.mjs --constant 3000.
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
