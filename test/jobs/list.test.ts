import test from 'ava';
import { formatJob, formatTaskLine } from '../../src/jobs/list.js';
import type { InspectedRun } from '../../src/runs/inspect.js';
import { shellWords } from '../../src/support/format.js';
import { observedJob, observedTask } from '../helpers/jobs.js';

test('a reason of the scheduler is shown in words', (t) => {
  t.is(formatTaskLine(observedTask({ reason: 'BeginTime' })), 'tiny: pending, starts again soon');
});

test('tasks that wait for the same share a line; each failure has its own', (t) => {
  const reason = 'JobArrayTaskLimit';
  const failed = { state: 'failed', exitCode: 2, message: 'no data' } as const;
  const tasks = [
    ...[observedTask({ reason }), observedTask({ name: 'b', index: 1, reason })],
    observedTask({ name: 'c', index: 2, state: 'waiting', reason }),
    ...[observedTask({ name: 'd', index: 3, ...failed }), observedTask({ name: 'e', index: 4, ...failed })],
  ];
  const said = formatJob({ ...observedJob, tasks }, 120)
    .split('\n')
    .filter((line) => /^\S.* \(/.test(line));
  t.deepEqual(said, [
    '2 tasks (pending): as many tasks run as --max-parallel lets',
    'c (waiting): as many tasks run as --max-parallel lets',
    'd (failed): exit code 2: no data',
    'e (failed): exit code 2: no data',
  ]);
});

test('a lost task says what that means', (t) => {
  t.regex(
    formatTaskLine(observedTask({ state: 'lost' })),
    /^tiny: lost, its worker was killed: .* a retry resumes the run$/,
  );
});

test('the arrays of a job at Slurm', (t) => {
  const job = { ...observedJob, executor: 'slurm' as const, schedulerIds: ['12', '15'] };
  t.regex(formatJob(job, 80), /^arrays {3}12, 15$/m);
  t.notRegex(formatJob(observedJob, 80), /^arrays/m);
});

const run: InspectedRun = {
  ...{ row: 'tiny', run: '1', folder: '/runs/tiny/1', number: 1, profile: null, seed: 0, state: 'completed' },
  ...{ stage: null, done: 2, total: 2, secondsLeft: null, evaluation: null, loss: 0.5, mIoU: 12.34 },
  ...{ mIoUMsFlip: null, host: null, processId: null, updatedAt: null, trainedBy: null, error: null },
};

test('a completed task shows its figures, and no progress of its last stage', (t) => {
  const shown = (changes: Parameters<typeof observedTask>[0]) =>
    formatJob({ ...observedJob, tasks: [observedTask(changes)] }, 120);
  t.regex(shown({ state: 'completed', starts: 1, run }), /^tiny +completed +1 +– +– +– +0\.5000 +12\.34 +–$/m);
  t.regex(shown({ state: 'stopped', starts: 1, run }), /^tiny +stopped +1 +– +2\/2 \(100 %\)/m);
  t.regex(shown({ state: 'running' }), /^tiny +running +1 +–/m);
  t.regex(shown({}), /^tiny +pending +0 +–/m);
});

test('a job shows the minute of its submission, and a command that can be pasted', (t) => {
  const command = ['reproduce', 'a-row-with-a-long-name', '--set', "x='y'", '--executor', 'local', '--keep-going'];
  const lines = formatJob({ ...observedJob, command }, 60).split('\n');
  t.is(lines[0], 'Job 1, local executor, submitted 2025-01-02 03:04 UTC');
  t.is(lines[1], 'folder   /jobs/1');
  const end = lines.indexOf('');
  const broken = lines.slice(2, end);
  t.true(broken.length > 1 && broken.every((line) => line.length <= 60));
  t.true(broken.slice(0, -1).every((line) => line.endsWith(' \\')));
  t.is(broken.join('\n').replaceAll(/ \\\n */g, ' '), shellWords(['fcn', ...command]));
});
