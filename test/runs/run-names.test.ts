import { cp, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { writeRecord } from '../../src/records/record.js';
import { RunCatalogue } from '../../src/runs/catalogue.js';
import { writeDescription } from '../../src/runs/directory.js';
import { inspectRun } from '../../src/runs/inspect.js';
import { formatRun } from '../../src/runs/list.js';
import {
  findRunDirectories,
  findRunDirectory,
  findRunOfRow,
  type NamedRun,
  newestRun,
  runsNamed,
} from '../../src/runs/run-names.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';
import { catalogueOf, logLine, writeRun } from '../helpers/runs.js';

const [A, B] = ['camvid_r18-d8', 'fcn_r18-d8_769x769_80k_cityscapes'];

/** Two runs of row A and one of row B. */
async function workplace(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const [runs, results] = [path.join(folder, 'runs'), path.join(folder, 'results')];
  const one = await writeRun(runs, { row: A }, { run: '20250101-000000-aaaaaaaa' }, []);
  await writeRun(runs, { row: A }, { run: '20250102-000000-bbbbbbbb' }, []);
  await writeRun(runs, { row: B }, { run: '20250103-000000-cccccccc' }, []);
  return { folder, runs, results, one };
}

test('a run is found by every form of its name, and by every path of it', async (t) => {
  const { folder, runs, results, one } = await workplace(t);
  const catalogue = new RunCatalogue({ runs, results }, (error) => t.fail(error.message));
  const run = '20250101-000000-aaaaaaaa';
  const kept = path.join(results, 'full', `${A}.${run}.json`);
  await writeRecord(kept, one.record);
  const forms = [
    ...[run, `${A}/${run}`, `${A}.${run}`, '20250101', `${A}/20250101`, `${A}/20250101*`, `*${run.slice(-4)}`],
    ...[one.directory, `${one.directory}/`, path.relative(process.cwd(), one.directory)],
    ...[path.join(one.directory, 'record.json'), path.join(one.directory, 'log.jsonl'), kept],
  ];
  for (const form of forms) {
    t.is((await findRunDirectory(runs, form)).id, run, form);
    t.deepEqual(
      (await findRunDirectories(runs, [form, form])).map(({ id }) => id),
      [run],
      form,
    );
    t.is((await findRunOfRow(path.join(runs, A), form)).folder, path.join(runs, A, run), form);
    t.is((await catalogue.findOne(form)).id, run, form);
    t.deepEqual(
      (await catalogue.find([form, form])).map(({ id }) => id),
      [run],
      form,
    );
  }
  t.is((await findRunDirectory(runs, undefined)).id, '20250103-000000-cccccccc', 'the newest of all');
  // What is a path from one folder only is none from another.
  await t.throwsAsync(findRunDirectory(path.join(folder, 'elsewhere'), run), { message: /No run is called 2025/ });
});

test('a row or a pattern is its newest run to a command that takes one, and all of them to one that takes several', async (t) => {
  const { runs, results } = await workplace(t);
  const catalogue = new RunCatalogue({ runs, results }, (error) => t.fail(error.message));
  for (const form of [A, path.join(runs, A), `${path.join(runs, A)}/`, 'camvid*', `${A}/*`, '{camvid}*']) {
    t.is((await findRunDirectory(runs, form)).id, '20250102-000000-bbbbbbbb', form);
    t.is((await findRunOfRow(path.join(runs, A), form)).id, '20250102-000000-bbbbbbbb', form);
    t.is((await findRunDirectories(runs, [form])).length, 2, form);
    t.is((await catalogue.findOne(form)).id, '20250102-000000-bbbbbbbb', form);
    t.is((await catalogue.find([form])).length, 2, form);
  }
  t.is((await findRunDirectories(runs, ['2025*'])).length, 3);
});

test('the beginning of several names is refused with all of them; what nothing is called is answered', async (t) => {
  const { folder, runs, results } = await workplace(t);
  const catalogue = new RunCatalogue({ runs, results }, (error) => t.fail(error.message));
  const finders = {
    one: (form: string) => findRunDirectory(runs, form),
    several: (form: string) => findRunDirectories(runs, [form]),
    ofRow: (form: string) => findRunOfRow(path.join(runs, A), form),
    catalogued: (form: string) => catalogue.findOne(form),
    reported: (form: string) => catalogue.find([form]),
  };
  const candidates = `${A}/20250101-000000-aaaaaaaa, ${A}/20250102-000000-bbbbbbbb`;
  for (const [name, find] of Object.entries(finders)) {
    const refused = (form: string) =>
      t.throwsAsync<UserError>(find(form), { instanceOf: UserError }, `${name} ${form}`);
    t.true((await refused('2025010'))!.message.includes(candidates), name);
    t.is((await refused(`${A}/2025`))!.message, `"${A}/2025" could be 2 runs: ${candidates}.`, name);
    t.is((await refused('20250101-000000-aaaaaaab'))!.next, 'Did you mean 20250101-000000-aaaaaaaa?', name);
    t.is((await refused('camvid_r18-d9'))!.next, `Did you mean ${A}?`, name);
    t.regex((await refused(`${A}/nothing`))!.next!, /^The runs of camvid_r18-d8 are: camvid_r18-d8\/20250102-/, name);
    t.is((await refused(''))!.message, 'The name of a run is empty.', name);
    t.regex((await refused(folder))!.message, /is not a run directory \(it has no experiment\.json\)/, name);
    t.regex((await refused('no*such'))!.message, /^No run is called no\*such under /, name);
    await t.throwsAsync(find('a{b'), { instanceOf: UserError, message: /"\{" is not closed/ }, name);
  }
  const none = path.join(folder, 'none');
  await t.throwsAsync(findRunDirectory(none, undefined), { instanceOf: UserError, message: /There are no runs/ });
});

test('a run of another row, or below another folder, is not one to resume as this row', async (t) => {
  const { runs } = await workplace(t);
  const other = await writeRun(path.join(await temporaryFolder(t), 'runs'), { row: A }, { run: '20250104-x' }, []);
  const ofA = (form: string) => findRunOfRow(path.join(runs, A), form);
  const forms = [B, `${B}/2025`, path.join(runs, B, '20250103-000000-cccccccc'), other.directory];
  for (const form of forms) {
    const error = await t.throwsAsync<UserError>(ofA(form), { instanceOf: UserError }, form);
    t.true(error!.message.endsWith(`, but a run in ${path.join(runs, A)} was expected.`), error!.message);
  }
  await t.throwsAsync(ofA('20250103'), { instanceOf: UserError, message: /^No run is called 20250103 under / });
});

test('a record without its directory is a run to a report, and is said to have none where one is needed', async (t) => {
  const { runs, results } = await workplace(t);
  const kept = path.join(results, 'full', 'kept.json');
  await writeRecord(kept, makeRecord({ row: A }, { run: '20250105-000000-dddddddd' }));
  const catalogue = new RunCatalogue({ runs, results }, (error) => t.fail(error.message));
  for (const form of ['20250105', `${A}/20250105`, `${A}.20250105-000000-dddddddd`, kept]) {
    t.like(await catalogue.findOne(form), { id: '20250105-000000-dddddddd', directory: null });
  }
  await t.throwsAsync(findRunDirectory(runs, kept), {
    instanceOf: UserError,
    message: /kept\.json is the record of camvid_r18-d8\/20250105-000000-dddddddd, which has no directory under /,
  });
});

test('directories that were renamed or copied are found as they are listed', async (t) => {
  const { runs, results, one } = await workplace(t);
  await cp(one.directory, path.join(runs, A, 'copy'), { recursive: true });
  await rename(path.join(runs, B, '20250103-000000-cccccccc'), path.join(runs, B, 'best'));
  const catalogue = new RunCatalogue({ runs, results }, (error) => t.fail(error.message));
  for (const form of ['best', `${B}/best`, '20250103']) {
    t.is((await catalogue.findOne(form)).directory, path.join(runs, B, 'best'), form);
  }
  t.is((await findRunDirectory(runs, 'best')).id, 'best');
  t.is((await catalogue.findOne(`${A}/copy`)).directory, path.join(runs, A, 'copy'));
  t.is((await catalogue.findOne('20250101')).directory, one.directory, 'the directory with that name');
  t.is((await catalogue.all()).length, 3, 'a copy is no further run');
});

test('the newest run of a row is the one that was begun last, whatever the clock said then', async (t) => {
  const runs = await temporaryFolder(t);
  const { environment, code } = makeRecord({ row: A });
  const identity = {
    experimentHash: '',
    stages: [],
    engine: 'wasm',
    device: 'cpu',
    dataset: null,
    weights: null,
    shard: null,
  };
  const setup = { environment, code, dataset: null };
  const startedAt = '2025-01-02T03:04:05.000Z';
  for (const [run, number] of [['20250101-a', 3] as const, ['20250102-b', 2] as const]) {
    await writeDescription(path.join(runs, A, run), { identity, setup, startedAt, number, continued: [] });
  }
  // One that does not tell.
  await writeFiles(path.join(runs, A, '20250103-c'), { 'experiment.json': '{}' });
  t.is((await findRunDirectory(runs, A)).id, '20250101-a');
  await rm(path.join(runs, A, '20250101-a', 'run.json'));
  await mkdir(path.join(runs, A, '20250101-a', 'run.json'));
  t.is((await findRunDirectory(runs, A)).id, '20250102-b', 'a description that cannot be read tells nothing');
  t.is((await findRunDirectory(runs, '20250101')).id, '20250101-a', 'but its run can be named');
});

test('a row means the newest of its runs that train, not an evaluation of one', async (t) => {
  const root = await temporaryFolder(t);
  const places = { runs: path.join(root, 'runs'), results: path.join(root, 'results') };
  const stages = (stage: 'train' | 'evaluate') => [{ stage, startedAt: '2025-01-02T03:04:05.000Z', seconds: 1 }];
  const trainedBy = { row: A, run: '20250102-bbbbbbbb', iteration: 40 };
  const weights = { file: 'iteration-40.safetensors', sha256: 'ab'.repeat(32), source: 'given', trainedBy } as const;
  await writeRun(places.runs, { row: A }, { run: '20250101-aaaaaaaa', stages: stages('train') }, [logLine(1)]);
  await writeRun(places.runs, { row: A }, { run: '20250102-bbbbbbbb', stages: stages('train') }, [logLine(1)]);
  const startedAt = '2025-01-09T03:04:05.000Z';
  const evaluation = { run: '20250109-cccccccc', startedAt, stages: stages('evaluate'), weights };
  const { directory } = await writeRun(places.runs, { row: A }, evaluation, []);
  t.is((await findRunDirectory(places.runs, A)).id, '20250102-bbbbbbbb');
  t.is((await catalogueOf(places).findOne(A)).id, '20250102-bbbbbbbb');
  t.is((await findRunDirectory(places.runs, undefined)).id, '20250109-cccccccc', 'without a name, the newest of all');
  t.deepEqual((await inspectRun(directory)).trainedBy, trainedBy);
  t.regex(
    formatRun(await inspectRun(directory), null, [], 80),
    /^weights {4}of \S+\/20250102-bbbbbbbb after iteration 40$/m,
  );
  const error = await t.throwsAsync(catalogueOf(places).findOne(`${A}:best`), { instanceOf: UserError });
  t.regex(error!.message, /names the best weights of a run, but a run is wanted here\./);
  t.is(error!.next, `Give ${A}.`);
});

test('between rows and kept records, the clock says which is the newest', (t) => {
  const run = (row: string, id: string, startedAt: string, number: number, directory: string | null): NamedRun => {
    return { row, id, startedAt, number, directory, trains: true };
  };
  const first = run(A, '2', '2025-01-01', 2, `runs/${A}/2`);
  const setBack = run(A, '1', '2025-01-09', 1, `runs/${A}/1`);
  const kept = run(A, '3', '2025-01-03', 0, null);
  const other = run(B, '4', '2025-01-02', 9, `runs/${B}/4`);
  t.is(newestRun([first, setBack]), first);
  t.is(newestRun([first, setBack, other]), other);
  t.is(newestRun([other, kept, setBack, first]), kept);
  t.deepEqual(runsNamed(A, [first, kept, other], { runs: 'runs', results: null }), [first, kept]);
});
