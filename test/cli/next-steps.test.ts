import test from 'ava';
import {
  formatNextSteps,
  stepsAfterJob,
  stepsAfterPrediction,
  stepsAfterRun,
  stepsAfterVerification,
} from '../../src/cli/next-steps.js';
import type { ObservedJob } from '../../src/jobs/observe.js';
import type { RunRecord, Stage } from '../../src/records/record.js';
import { observedJob, observedTask } from '../helpers/jobs.js';
import { makeRecord } from '../helpers/record.js';

const places = { runs: 'runs', results: 'results' };
const run = '20250102-030405-aaaaaaaa';

function recordOf(stages: readonly Stage[], changes: Partial<RunRecord> = {}): RunRecord {
  const done = stages.map((stage) => ({ stage, startedAt: '2025-01-02T03:04:05.000Z', seconds: 1 }));
  return makeRecord({ row: 'camvid_r18-d8' }, { run, stages: done, ...changes });
}

const commands = (steps: ReturnType<typeof stepsAfterRun>) => steps.map(({ command }) => command.join(' '));

test('after a run: its evaluation if it has none, its page, and its weights, by names that commands take', (t) => {
  t.deepEqual(commands(stepsAfterRun(recordOf(['train']), places)), [
    `evaluate --weights ${run}`,
    `report ${run} --out report`,
    `predict IMAGE --weights ${run}`,
  ]);
  const { details } = recordOf([]);
  const train = { ...details.train!, bestValidation: { iteration: 2, mIoU: 0.3 } };
  const selected = recordOf(['train', 'evaluate'], { details: { ...details, train } });
  t.deepEqual(commands(stepsAfterRun(selected, { runs: 'my runs', results: 'r' })), [
    `report ${run} --out report --runs my runs --results r`,
    `predict IMAGE --weights ${run}:best --runs my runs`,
  ]);
  t.deepEqual(commands(stepsAfterRun(recordOf(['evaluate']), places, 'seen')), [
    `report ${run} --predictions seen --out report`,
  ]);
});

test('of a job: what is left to do for tasks that have not completed, also while others go on', (t) => {
  const commandsOf = (...states: ObservedJob['tasks'][number]['state'][]) => {
    const tasks = states.map((state, index) => observedTask({ index, name: `row:${index}`, state }));
    return commands(stepsAfterJob({ ...observedJob, tasks }, {})).filter((command) => !command.startsWith('runs table'));
  };
  t.deepEqual(commandsOf('running', 'pending'), ['jobs watch 1']);
  t.deepEqual(commandsOf('running', 'failed'), ['jobs watch 1', 'jobs logs 1 row:1', 'jobs retry 1']);
  t.deepEqual(commandsOf('completed', 'lost'), ['jobs logs 1 row:1', 'jobs retry 1', 'runs table 1']);
  t.deepEqual(commandsOf('stopped'), ['jobs retry 1']);
  t.deepEqual(commandsOf('completed', 'cancelled'), ['runs table 1']);
});

test('after predictions and the check of a data set', (t) => {
  const given = { weights: 'RUN:best', row: undefined, isOfRun: true };
  t.deepEqual(commands(stepsAfterPrediction(given, places)), ['evaluate --weights RUN:best']);
  const published = { weights: 'published', row: 'a', isOfRun: false };
  t.deepEqual(commands(stepsAfterPrediction(published, places)), ['evaluate a --weights published']);
  t.deepEqual(commands(stepsAfterVerification('m.yaml', ['--file', 'e.yaml'], 'e.yaml')), [
    'datasets browse m.yaml --file e.yaml --out look',
    'reproduce --file e.yaml --profile smoke --set iterations=20',
    'reproduce --file e.yaml --dry-run',
  ]);
});

test('steps stand in columns, or below each other where a line is too narrow', (t) => {
  const steps = [
    { command: ['list'], gives: 'the rows' },
    { command: ['show', 'a b'], gives: 'one' },
  ];
  t.is(formatNextSteps(steps), "Next:\n  fcn list        the rows\n  fcn show 'a b'  one");
  t.is(formatNextSteps(steps, 20), "Next:\n  fcn list\n    the rows\n  fcn show 'a b'\n    one");
});
