import { mkdir, rm, symlink, truncate } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type RunIdentity, writeDescription } from '../../src/runs/directory.js';
import { findRunToResume, highestNumber, type Resume, setupChanges } from '../../src/runs/resumption.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const { environment, code } = makeRecord({ row: 'camvid_r18-d8' });
const setup = { environment, code, dataset: 'files' };
const identity: RunIdentity = {
  experimentHash: 'recipe',
  stages: ['train'],
  engine: 'wasm',
  device: 'cpu',
  dataset: 'names',
  weights: null,
  shard: null,
};
const wanted = { identity, setup };

interface Kind extends Partial<RunIdentity> {
  readonly number?: number;
  readonly completed?: boolean;
}

/** The folder of a row with runs. */
async function runsOf(t: ExecutionContext, kinds: Readonly<Record<string, Kind>>): Promise<string> {
  const parent = await temporaryFolder(t);
  for (const [id, { number = 0, completed = false, ...changes }] of Object.entries(kinds)) {
    const directory = path.join(parent, id);
    const startedAt = '2025-01-02T03:04:05.000Z';
    await writeDescription(directory, {
      identity: { ...identity, ...changes },
      setup,
      startedAt,
      number,
      continued: [],
    });
    const status = { state: completed ? 'completed' : 'interrupted', stage: null, processId: 1, updatedAt: startedAt };
    await writeFiles(directory, { 'status.json': JSON.stringify(status), ...(completed && { 'record.json': '{}' }) });
  }
  return parent;
}

async function find(parent: string, resume: Resume) {
  const notes: string[] = [];
  const run = await findRunToResume(parent, wanted, resume, (text) => notes.push(text));
  return { id: run?.id ?? null, notes };
}

test('the newest run of the recipe is the one that was begun last, whatever the clock notes then', async (t) => {
  const parent = await runsOf(t, {
    '20250103-000000-aaaaaaaa': { number: 1 },
    '20250101-000000-aaaaaaaa': { number: 2 },
    '20250102-000000-aaaaaaaa': {},
    '20250104-000000-bbbbbbbb': { number: 7, experimentHash: 'other' },
  });
  t.deepEqual(await find(parent, 'unfinished'), { id: '20250101-000000-aaaaaaaa', notes: [] });
  t.is(await highestNumber(parent), 7);
  t.is(await highestNumber(path.join(parent, 'none')), 0);
});

test('runs that were begun at once, and have one number, are ordered by their ids', async (t) => {
  const ids = ['20250103-000000-aaaaaaaa', '20250103-000000-aaaaaaaa-2', '20250103-000000-aaaaaaaa-10'];
  const parent = await runsOf(t, Object.fromEntries(ids.map((id) => [id, {}])));
  t.is((await find(parent, 'unfinished')).id, ids.at(-1)!);
});

test('a run in other circumstances is refused with --resume and noted without', async (t) => {
  const cases: readonly (readonly [Kind, RegExp, RegExp])[] = [
    [{ engine: 'tensorflow' }, /engine \(tensorflow, now wasm\)\./, /give --engine tensorflow --resume-run 1;/],
    [{ device: 'gpu' }, /device \(gpu, now cpu\)\./, /run where the engine has a GPU and give --resume-run 1;/],
    [{ dataset: 'others' }, /names of the images in the data set\./, /restore the data set and give --resume-run 1;/],
  ];
  for (const [kind, what, next] of cases) {
    const parent = await runsOf(t, { 1: kind });
    const error = await t.throwsAsync<UserError>(find(parent, 'always'), { instanceOf: UserError, message: what });
    t.true(error!.message.startsWith('Run 1 cannot be resumed: it differs from the requested run in: '));
    t.regex(error!.next!, next);
    t.regex(error!.next!, /; --fresh starts a new one\.$/);
    const { id, notes } = await find(parent, 'unfinished');
    t.is(id, null);
    t.is(notes.length, 1);
    t.regex(notes[0]!, what);
    await t.throwsAsync(find(parent, { run: '1' }), { instanceOf: UserError, message: what });
  }
});

test('what was asked for otherwise, or is done, is no reason to say anything', async (t) => {
  const parent = await runsOf(t, {
    1: { engine: 'tensorflow', completed: true },
    2: { engine: 'tensorflow', experimentHash: 'other' },
    3: { device: 'gpu', weights: 'others' },
  });
  t.deepEqual(await find(parent, 'unfinished'), { id: null, notes: [] });
  const both = await runsOf(t, { 1: { number: 1 }, 2: { number: 2, engine: 'tensorflow' } });
  t.deepEqual(await find(both, 'always'), { id: '1', notes: [] }, 'a run in the same circumstances is resumed');
  t.deepEqual(await find(both, 'never'), { id: null, notes: [] });
});

test('other files under the same names are a change, not another run', async (t) => {
  t.deepEqual(setupChanges(setup, setup), []);
  t.deepEqual(setupChanges(setup, { ...setup, dataset: 'repaired' }), ['dataset']);
  const versions = { 'TensorFlow.js': '5' };
  t.deepEqual(
    setupChanges(setup, { ...setup, environment: { ...environment, versions }, code: { ...code, version: '2' } }),
    ['versions', 'code'],
  );
});

test('of a series, a run that completed since it began is enough', async (t) => {
  const parent = await runsOf(t, { 1: { number: 4, completed: true }, 2: { number: 5, completed: true } });
  t.is((await find(parent, { except: ['1'] })).id, '2');
  t.is((await find(parent, { except: ['1', '2'] })).id, null);
  const unfinished = await runsOf(t, { 1: { number: 4 } });
  t.is((await find(unfinished, { except: ['1'] })).id, '1', 'a run that is not complete is always resumed');
  const elsewhere = await runsOf(t, { 1: { completed: true, engine: 'tensorflow' } });
  t.deepEqual((await find(elsewhere, { except: ['1'] })).notes, []);
  t.regex(
    (await find(elsewhere, { except: [] })).notes[0]!,
    /^Starting a new run: 1, differs .*engine \(tensorflow, now wasm\)/,
  );
});

test('what is no run is skipped, and so is a run that cannot be read', async (t) => {
  const parent = await runsOf(t, { 1: { number: 1 }, 2: { number: 2 } });
  await writeFiles(parent, { '.DS_Store': 'x', 'nohup.out': 'x', '.hidden/run.json': 'x' });
  t.deepEqual(await find(parent, 'unfinished'), { id: '2', notes: [] });
  const linked = await temporaryFolder(t);
  await symlink(path.join(parent, '1'), path.join(linked, 'elsewhere'));
  t.is((await find(linked, 'unfinished')).id, 'elsewhere');
  // A folder in the place of the file cannot be read by anybody.
  await rm(path.join(parent, '2', 'run.json'));
  await mkdir(path.join(parent, '2', 'run.json'));
  const { id, notes } = await find(parent, 'unfinished');
  t.is(id, '1');
  t.is(notes.length, 1);
  t.regex(notes[0]!, /^Run 2 is skipped\. .*run\.json is a folder/);
});

test('a run of the recipe without an intact run.json is noted, and refused with --resume', async (t) => {
  const name = '20250102-030405-recipe12';
  const described = { identity: { ...identity, experimentHash: 'recipe12rest' }, setup };
  for (const lose of [(file: string) => rm(file), (file: string) => truncate(file, 20)]) {
    const parent = await runsOf(t, { [name]: { experimentHash: 'recipe12rest' } });
    await mkdir(path.join(parent, name, 'checkpoints'));
    const notes: string[] = [];
    t.is((await findRunToResume(parent, described, 'always', () => {}))?.id, name);
    await lose(path.join(parent, name, 'run.json'));
    t.is(await findRunToResume(parent, described, 'unfinished', (text) => notes.push(text)), null);
    const what = `${name}, of the same recipe, has no intact run.json.`;
    t.deepEqual(notes, [`Starting a new run: ${what}`]);
    await t.throwsAsync(
      findRunToResume(parent, described, 'always', () => {}),
      { instanceOf: UserError, message: `Run ${what}` },
    );
    t.is(await findRunToResume(parent, wanted, 'always', () => {}), null, 'another recipe');
  }
});

test('a run that completed but has lost its record is resumed: its stages have the results', async (t) => {
  const parent = await runsOf(t, { 1: { completed: true } });
  t.is((await find(parent, 'unfinished')).id, null);
  await rm(path.join(parent, '1', 'record.json'));
  t.is((await find(parent, 'unfinished')).id, '1');
});

test('a folder whose name no record can have is no run to resume', async (t) => {
  const parent = await runsOf(t, { '1 (copy)': {} });
  t.deepEqual(await find(parent, 'unfinished'), {
    id: null,
    notes: ['Run 1 (copy) is skipped: a record cannot have its name.'],
  });
  await t.throwsAsync(find(parent, { run: '1 (copy)' }), {
    instanceOf: UserError,
    message: /There is no run 1 \(copy\)/,
  });
});

test('what has no training is begun anew beside a training without run.json', async (t) => {
  const name = '20250102-030405-recipe12';
  const parent = await runsOf(t, { [name]: {} });
  await mkdir(path.join(parent, name, 'checkpoints'));
  await rm(path.join(parent, name, 'run.json'));
  const evaluation = {
    identity: { ...identity, experimentHash: 'recipe12rest', stages: ['evaluate' as const] },
    setup,
  };
  t.is(await findRunToResume(parent, evaluation, 'always', () => t.fail()), null);
});
