import test from 'ava';
import type { ResolveOptions } from '../../src/recipe/resolve.js';
import type { RunRecord } from '../../src/records/record.js';
import type { KnownRun } from '../../src/runs/catalogue.js';
import { formatLeaderboard } from '../../src/tables/leaderboard/format.js';
import { type LeaderboardOptions, makeLeaderboard } from '../../src/tables/leaderboard/leaderboard.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'camvid_r18-d8';
const CITYSCAPES = 'fcn_r18-d8_512x1024_80k_cityscapes';

const mIoU = (value: number) => ({ memoryGB: null, fps: null, mIoU: value, mIoUMsFlip: null });

/** A run that has only a record, named by a letter. */
function knownRun(letter: string, options: ResolveOptions, changes: Partial<RunRecord> = {}): KnownRun {
  const record = makeRecord(options, { run: `20250102-030405-${letter}0000000`, ...changes });
  const { row, run: id, experiment, environment, exitReason: state, startedAt, deviations } = record;
  const nothing = { number: 0, trains: true, directory: null, log: [], validation: [] };
  const facts = { row, id, experiment, environment, state, startedAt, deviations };
  return { ...facts, record, file: `${letter}.json`, ...nothing };
}

const RUNS = [
  knownRun('a', { row: ROW, overrides: ['width=16'], seed: 1 }, { figures: { ...mIoU(55), memoryGB: 2, fps: 8 } }),
  knownRun('b', { row: ROW, overrides: ['width=32'] }, { figures: { ...mIoU(61), memoryGB: 3, fps: 4 } }),
  knownRun('c', { row: ROW, overrides: ['width=32', 'learningRate=0.005'] }, { figures: mIoU(48) }),
  knownRun('d', { row: ROW }, { exitReason: 'failed', error: 'Out of memory.' }),
];

/** A run of a data set that is described by this file. */
const described = (letter: string, file: string) => {
  const run = knownRun(letter, { row: ROW }, { figures: mIoU(50) });
  const { experiment } = run;
  return { ...run, experiment: { ...experiment, data: { ...experiment.data, dataset: file } } };
};

const order = (options: LeaderboardOptions, runs = RUNS) =>
  makeLeaderboard(runs, runs, options)
    .runs.map(({ shortName }) => shortName.at(-1))
    .join('');

test('the best come first, those without the value last in either direction', (t) => {
  t.is(order({}), 'bacd');
  t.is(order({ reverse: true }), 'cabd');
  t.is(order({ sort: 'fps' }), 'abcd');
  t.is(order({ sort: 'memory' }), 'abcd');
  t.is(order({ sort: 'memory', reverse: true }), 'bacd');
  t.is(order({ sort: 'learningRate' }), 'cabd');
  t.is(order({ sort: 'state' }), 'abcd');
  t.is(order({ sort: 'run', reverse: true }), 'dcba');
  t.throws(() => order({ sort: 'wombat' }), { name: 'UserError', message: /^--sort wombat: the recipe has no such/ });
  t.like(
    t.throws(() => order({ sort: 'miou' })),
    { next: 'Did you mean mIoU?' },
  );
});

test('filters: states, values of the recipe as --set takes them, seed, profile', (t) => {
  t.is(order({ states: ['failed'] }), 'd');
  t.is(order({ where: ['width=32'] }), 'bc');
  t.is(order({ where: ['model.width=32', 'learningRate=5e-3'] }), 'c');
  t.is(order({ where: ['data.cropHw=[256, 256]', 'seed=1'] }, RUNS), 'a');
  t.is(order({ where: ['width=99'] }), '');
  t.is(order({ profile: 'smoke' }), '');
  t.throws(() => order({ where: ['width'] }), { message: /--where width: expected key=value/ });
  t.throws(() => order({ columns: ['widht'] }), { message: /--columns widht: the recipe has no such value/ });
});

const columnsOf = (runs: readonly KnownRun[], options: LeaderboardOptions = {}) =>
  makeLeaderboard(runs, runs, options).columns.map(({ name }) => name);

test('what was changed to the same in all runs is said below, and not what only some changed', (t) => {
  const noteOf = (runs: readonly KnownRun[]) =>
    formatLeaderboard(makeLeaderboard(runs, runs), 80)
      .split('\n')
      .filter((line) => line.startsWith('Changed'));
  const both = ['b', 'c'].map((letter, i) =>
    knownRun(letter, { row: ROW, overrides: ['width=32', 'iterations=20', `learningRate=0.00${i + 4}`] }),
  );
  t.deepEqual(noteOf(both), ['Changed in all of them: width=32, iterations=20.']);
  t.deepEqual(noteOf([...both, knownRun('d', { row: ROW })]), []);
  t.deepEqual(noteOf(RUNS.slice(0, 2)), [], 'width is a column');
});

test('columns are what differs: first within a row, then between rows, with names that are clear', (t) => {
  t.deepEqual(columnsOf(RUNS), ['width', 'learningRate']);
  t.deepEqual(columnsOf(RUNS.slice(1, 2)), []);
  const several = columnsOf([...RUNS, knownRun('e', { row: CITYSCAPES })]);
  t.deepEqual(several.slice(0, 3), ['width', 'learningRate', 'classes']);
  // Two values are called cropHw, and two imageScaleWh.
  t.true(several.includes('data.cropHw') && several.includes('data.imageScaleWh') && several.includes('dataset'));
  const smoke = columnsOf([...RUNS, knownRun('e', { row: ROW, profile: 'smoke' })]);
  t.deepEqual(smoke.slice(0, 3), ['profile', 'width', 'learningRate']);
  t.deepEqual(columnsOf(RUNS, { columns: ['batch', 'hardware'] }), ['batch', 'hardware']);
});

test('a terminal shows what fits, names what does not, and breaks no line', (t) => {
  const runs = [...RUNS, knownRun('e', { row: CITYSCAPES }, { figures: mIoU(70) })];
  for (const width of [60, 80, 120]) {
    const text = formatLeaderboard(makeLeaderboard(runs, runs), width);
    for (const line of text.split('\n')) t.true(line.length <= width, line);
    t.regex(text, new RegExp(`Left out to fit ${width} columns: `));
  }
  const text = formatLeaderboard(makeLeaderboard(RUNS, RUNS), 80);
  t.regex(text, /^camvid_r18-d8, full profile\n\nRun +State +width +learningRate +Seed +Mem +fps +mIoU\n/);
  t.regex(text, /^20250102-030405-b +completed +32 +0\.01 +0 +3\.00 +4\.00 +61\.00$/m);
  t.notRegex(text, /Left out|ms\+flip|publish/i);
  t.is(formatLeaderboard(makeLeaderboard([], []), 80), 'No runs.');
});

test('what tells most runs apart is the last to be left out; of long values the name at their end is shown', (t) => {
  const backbone = 'pretrained=models/of/mine/resnet18_v1c-0123456789ab.pth';
  const options = [['width=16'], ['width=32', 'iterations=80'], ['width=8', 'iterations=40', backbone]];
  const runs = options.map((overrides, i) => knownRun('abc'[i]!, { row: ROW, overrides }));
  t.deepEqual(columnsOf(runs), ['width', 'iterations', 'pretrained']);
  t.regex(formatLeaderboard(makeLeaderboard(runs, runs), 120), / +resnet18_v1c-012345… +8 +40 +0$/m);
  t.regex(formatLeaderboard(makeLeaderboard(runs, runs), 60), /^Run +State +width +iterations +Seed\n/m);
  // Files count by their names, as in the hash of a recipe.
  const alike = ['one', 'two'].map((folder, i) =>
    knownRun('ab'[i]!, { row: ROW, overrides: [`pretrained=models/${folder}/resnet18_v1c.pth`] }),
  );
  t.deepEqual(columnsOf(alike), []);
});

test('a column that is asked for is shown, whatever goes instead', (t) => {
  const weights = 'runs/camvid_r18-d8/20250102-030405-a0000000/checkpoints/iteration-80.safetensors';
  const changes = { row: 'a-long-name-of-a-row-of-mine', figures: { ...mIoU(55), memoryGB: 2, fps: 8 } };
  const runs = [knownRun('a', { row: ROW, overrides: [`initialWeights=${weights}`] }, changes), ...RUNS];
  const columns = ['width', 'iterations', 'learningRate', 'initialWeights'];
  const text = formatLeaderboard(makeLeaderboard(runs, runs, { columns }), 80);
  t.regex(text, /initialWeights/);
  t.regex(text, / iteration-80\.safete… /);
  for (const line of text.split('\n')) t.true(line.length <= 80, line);
});

test('--where of a row or a run says how they are named', (t) => {
  t.like(
    t.throws(() => order({ where: [`row=${ROW}`] })),
    {
      message: `--where row=${ROW}: rows are named without --where.`,
      next: `For example: fcn runs table ${ROW}; patterns are taken, too.`,
    },
  );
  t.throws(() => order({ where: ['run=2025'] }), { message: /runs are named without --where\.$/ });
});

test('columns that are asked for go before one line a run', (t) => {
  const runs = RUNS.map((run) => ({ ...run, row: 'a-row-of-my-own' }));
  const board = makeLeaderboard(runs, runs, { columns: ['started', 'dataset'] });
  const text = formatLeaderboard(board, 80);
  t.regex(text, /started +dataset/);
  t.notRegex(text, /Left out/);
});

test('short names of runs are as long as they must be, and name only one', (t) => {
  const other = knownRun('a', { row: ROW }, { run: '20250102-030406-a0000000' });
  const twin = knownRun('a', { row: ROW }, { run: '20250102-030405-a0000001' });
  const all = [...RUNS, other, twin];
  const names = makeLeaderboard(all, all, { sort: 'run' }).runs.map(({ shortName }) => shortName);
  t.deepEqual(names, [
    '20250102-030405-a0000000',
    '20250102-030405-a0000001',
    '20250102-030405-b',
    '20250102-030405-c',
    '20250102-030405-d',
    '20250102-030406',
  ]);
});

test('what a reader must know is said: generated data, given weights, other hardware', (t) => {
  const dataset = { id: 'camvid', fingerprint: 'ab'.repeat(32), synthetic: true };
  const generated = knownRun('e', { row: ROW }, { figures: mIoU(90), dataset });
  const text = (runs: readonly KnownRun[]) => formatLeaderboard(makeLeaderboard(runs, runs), 80);
  t.regex(text([...RUNS, generated]), /90\.00§[\s\S]*\n§ On generated data\.$/);
  t.regex(text([generated]), /90\.00\n[\s\S]*\nAll figures are of generated data\.$/);
  const weights = { file: 'x.pth', sha256: 'ab'.repeat(32), source: 'given' as const };
  t.regex(text([knownRun('e', { row: ROW }, { figures: mIoU(90), weights })]), /90\.00†\n[\s\S]*\n† Evaluated with/);
  const environment = { ...RUNS[0]!.environment, processor: 'Processor 1' };
  const elsewhere = knownRun('e', { row: ROW }, { figures: { ...mIoU(50), fps: 1 }, environment });
  t.regex(text([...RUNS, elsewhere]), /measured on different hardware; --columns hardware shows it\.$/);
});

test('a data set of the same name in another folder is the same one', (t) => {
  const runs = [described('a', '/one/st.yaml'), described('b', '/two/st.yaml')];
  t.deepEqual(makeLeaderboard(runs, runs).columns, []);
  for (const where of ['dataset=st.yaml', 'dataset=/elsewhere/st.yaml']) t.is(order({ where: [where] }, runs), 'ab');
  t.is(order({ where: ['dataset=other.yaml'] }, runs), '');
});

test('a column that is asked for twice is shown once', (t) => {
  const { columns } = makeLeaderboard(RUNS, RUNS, { columns: ['batch', 'started', 'training.batch', 'started'] });
  t.deepEqual(
    columns.map(({ name }) => name),
    ['batch', 'started'],
  );
});
