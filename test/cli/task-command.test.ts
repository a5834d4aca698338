import * as Flags from '@oclif/core/flags';
import test from 'ava';
import { commandOfTask } from '../../src/cli/task-command.js';
import { taskFile } from '../../src/jobs/job.js';
import { jobOf } from '../helpers/jobs.js';

const FLAGS = {
  table: Flags.string(),
  executor: Flags.string(),
  repeat: Flags.integer(),
  seed: Flags.integer(),
  force: Flags.boolean(),
};

test('a task suggests the command of its job, for its row', async (t) => {
  const job = await jobOf(
    t,
    [
      ['tiny', 0],
      ["it's", 0],
    ],
    {
      command: ['reproduce', '--table', 'Mine', '--executor', 'local'],
    },
  );
  const suggest = await commandOfTask(taskFile(job, 1, 'run'), 'fcn', FLAGS);
  t.is(suggest(['--force']), `fcn reproduce 'it'\\''s' --executor local --force`);
});

test('a task of several with one row suggests its own seed', async (t) => {
  const command = ['reproduce', 'tiny', '--repeat=2', '--seed', '4'];
  const job = await jobOf(
    t,
    [
      ['tiny', 4],
      ['tiny', 5],
    ],
    { command },
  );
  const suggest = await commandOfTask(taskFile(job, 1, 'run'), 'fcn', FLAGS);
  t.is(suggest(['--force'], 'tiny'), 'fcn reproduce tiny --repeat 1 --seed 5 --force');
});
