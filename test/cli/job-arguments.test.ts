import test from 'ava';
import { taskArguments, taskEnvironment } from '../../src/cli/job-arguments.js';
import Reproduce from '../../src/commands/reproduce.js';
import { tinyExperiment } from '../helpers/experiments.js';

const RUN = { experiment: tinyExperiment({ seed: 7 }), deviations: [] };
const CHOICES = { known: Reproduce.flags, weights: null, threads: null, processes: undefined, srunPlugin: null };

test('a task spells out what was chosen, with absolute paths, and leaves out what is about the job', (t) => {
  const flags = {
    stage: ['train', 'evaluate'],
    set: ['width=4', '-odd=|\n"'],
    file: 'mine.yaml',
    runs: '/shared/runs',
    profile: 'smoke',
    offline: true,
    force: false,
    executor: 'local',
    'max-parallel': 4,
    'keep-going': true,
    'time-limit': '3h',
    repeat: 2,
    seed: 5,
    all: true,
  };
  const words = taskArguments(RUN, { ...CHOICES, flags });
  t.deepEqual(words.slice(0, 2), ['reproduce', 'tiny']);
  t.deepEqual([...words.slice(2)].sort(), [
    `--file=${process.cwd()}/mine.yaml`,
    '--offline',
    '--profile=smoke',
    '--runs=/shared/runs',
    '--seed=7',
    '--set=-odd=|\n"',
    '--set=width=4',
    '--stage=evaluate',
    '--stage=train',
  ]);
});

test('files of overrides are named in full, after the override as it was typed', (t) => {
  const deviations = [{ path: 'model.pretrained', published: null, value: '/home/me/a "b".pth' }];
  const flags = { set: ['pretrained=a.pth', 'width=4'] };
  t.deepEqual(taskArguments({ ...RUN, deviations }, { ...CHOICES, flags, weights: '/w.pth', threads: 2 }), [
    'reproduce',
    'tiny',
    '--set=pretrained=a.pth',
    '--set=width=4',
    '--set=model.pretrained="/home/me/a \\"b\\".pth"',
    '--seed=7',
    '--weights=/w.pth',
    '--threads=2',
  ]);
});

test('the processes of a run are those of the job, whatever the flag says, and srun starts them where it is to', (t) => {
  const words = taskArguments(RUN, { ...CHOICES, flags: { processes: 4 }, processes: 2, srunPlugin: 'pmix' });
  t.deepEqual(words.slice(3), ['--processes=2', '--srun-mpi=pmix']);
});

test('of the environment, a task has the settings that are no flags', (t) => {
  const environment = { FCN_PROFILE: 'smoke', FCN_QUIET: '1', FCN_MIRROR: 'https://mirror', HOME: '/root' };
  t.deepEqual(taskEnvironment(environment, Reproduce.flags), { FCN_MIRROR: 'https://mirror' });
});
