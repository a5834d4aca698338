import test from 'ava';
import { selectRows } from '../../src/recipe/select.js';
import { chooseStages, planRuns, requireOneRow } from '../../src/runs/plan.js';
import { UserError } from '../../src/support/errors.js';

const ROWS = selectRows({ patterns: ['*160k*'] });

test('a run a row and seed, row by row, with what deviates', (t) => {
  const plan = planRuns({ rows: ROWS, profile: 'full', overrides: ['width=32'], seed: 4, repeat: 2 });
  t.deepEqual(
    plan.map(({ experiment: { row, seed } }) => `${row} ${seed}`),
    ROWS.flatMap(({ id }) => [`${id} 4`, `${id} 5`]),
  );
  for (const { deviations } of plan) t.deepEqual(deviations, [{ path: 'model.width', published: 64, value: 32 }]);
});

test('an override that fits one row and not another is refused before anything starts', (t) => {
  const rows = selectRows({ patterns: ['fcn_r18-d8_512*', 'fcn_r18b-d8_512*'] });
  const change = (rows_: typeof rows) => () =>
    planRuns({ rows: rows_, profile: 'full', overrides: ['width=9', 'decodeHead.channels=64'], seed: 0, repeat: 1 });
  t.notThrows(change(rows.slice(1)));
  t.throws(change(rows), { instanceOf: UserError, message: /^fcn_r18-d8_512x1024_80k_cityscapes: .*must be even/ });
});

test('there are 2^32 seeds', (t) => {
  const last = { rows: ROWS, profile: 'full', overrides: [], seed: 2 ** 32 - 2 };
  t.is(planRuns({ ...last, repeat: 2 }).at(-1)?.experiment.seed, 2 ** 32 - 1);
  t.throws(() => planRuns({ ...last, repeat: 3 }), { instanceOf: UserError, message: /the largest is 4294967295/ });
});

test('stages are those asked for, in their order; with weights nothing is trained', (t) => {
  t.deepEqual(chooseStages(undefined, undefined), ['train', 'evaluate', 'evaluate-ms', 'benchmark']);
  t.deepEqual(chooseStages(['benchmark', 'train', 'benchmark'], undefined), ['train', 'benchmark']);
  t.deepEqual(chooseStages(undefined, 'published'), ['evaluate', 'evaluate-ms', 'benchmark']);
  t.deepEqual(chooseStages(['evaluate-ms'], 'some.pth'), ['evaluate-ms']);
  t.throws(() => chooseStages(['train'], 'published'), { instanceOf: UserError, message: /without training/ });
  t.throws(() => chooseStages(['evaluate'], undefined), { instanceOf: UserError, message: /needs weights/ });
  t.throws(() => chooseStages(['benchmark', 'evaluate-ms'], undefined), {
    instanceOf: UserError,
    message: /-ms needs/,
  });
});

test('a file of weights is of one row; every row has its own published ones', (t) => {
  t.throws(() => requireOneRow(ROWS, 'some.pth'), { instanceOf: UserError, message: /belongs to one row, but 2 are/ });
  t.notThrows(() => requireOneRow(ROWS, 'published'));
  t.notThrows(() => requireOneRow(ROWS.slice(1), 'some.pth'));
});
