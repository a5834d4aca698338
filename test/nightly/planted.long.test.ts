import path from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { packageRoot } from '../../src/support/package.js';

interface Planted {
  readonly fault: string | null;
  readonly gate: string | null;
  readonly failed: readonly string[];
  readonly failures: readonly string[];
  readonly caught: boolean;
}

test('faults that are planted in a running package are caught by the gates that are meant for them', async (t) => {
  t.timeout(240_000);
  const script = path.join(packageRoot(), 'scripts', 'planted-faults.mjs');
  // Those of the kernels' speed are not for a test: other tests run beside it.
  const faults = ['wrong-gradient', 'leaked-tensor', 'changed-recipe'].flatMap((name) => ['--fault', name]);
  const { stdout } = await execa(process.execPath, [script, '--engine', 'wasm', '--short', '--json', ...faults], {
    reject: false,
  });
  const report = JSON.parse(stdout) as Planted[];
  t.is(report.length, 4);
  for (const { fault, gate, failed, failures, caught } of report) {
    t.true(caught, `${fault}: ${failed.join(', ')}: ${failures.join('\n')}`);
    if (gate === null) continue;
    t.true(failures.some((line) => line.startsWith(`${gate}: `)));
  }
});
