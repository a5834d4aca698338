import { existsSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readSplit } from '../../src/data/split.js';
import { deviations, resolve } from '../../src/recipe/resolve.js';
import { loadTables } from '../../src/recipe/tables.js';
import { whyNotComparable } from '../../src/records/comparability.js';
import { execute } from '../../src/runs/execute.js';
import type { ExecuteOptions } from '../../src/runs/prepare-run.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const OVERRIDES = [
  'width=4',
  'training.batch=2',
  'iterations=9',
  'logEvery=1',
  'checkpointEvery=1000',
  'data.cropHw=[32, 32]',
];

/** A small data set, and runs of a tiny row on it. */
async function workplace(t: ExecutionContext) {
  const { dataset, dataRoot } = await generated(t, 'cityscapes', 24, 64);
  const folder = await temporaryFolder(t);
  const experiment = resolve({ row: ROW, profile: 'smoke', overrides: OVERRIDES });
  const said: string[] = [];
  /** `stopAt`: asked after each step and image; the run ends at the next one. */
  const run = (changes: Partial<ExecuteOptions> = {}, stopAt: () => boolean = () => false) => {
    said.length = 0;
    const controller = new AbortController();
    return execute({
      experiment,
      overrides: OVERRIDES,
      deviations: deviations(experiment, undefined),
      stages: ['train', 'evaluate'],
      engine: 'wasm',
      deterministic: false,
      convolution: 'fast',
      dataRoot,
      runs: path.join(folder, 'runs'),
      results: path.join(folder, 'results'),
      force: false,
      offline: true,
      tensorboard: false,
      resume: 'unfinished',
      keepCheckpoints: 2,
      mostSecondsLost: 0.001,
      signal: controller.signal,
      saveRequested: () => {
        if (stopAt()) controller.abort(new InterruptedError('Stopped.'));
        return false;
      },
      note: (text) => said.push(text),
      display: 'silent',
      checkData: 'fast',
      skipBad: 0,
      checkedData: new Map(),
      ...changes,
    });
  };
  const runs = () => {
    const parent = path.join(folder, 'runs', ROW);
    return existsSync(parent) ? readdirSync(parent).map((id) => path.join(parent, id)) : [];
  };
  const [train, val] = [await readSplit(dataset, 'train', dataRoot), await readSplit(dataset, 'val', dataRoot)];
  return { run, runs, said, train, val };
}

test.serial('images that a run has left out stay counted when it is resumed, with a limit or without', async (t) => {
  const { run, runs, train, val } = await workplace(t);
  // Headers stay, so that only reading all of it shows.
  truncateSync(train[0]!.image, 200);
  truncateSync(val[0]!.image, 200);
  const position = () => path.join(runs()[0]!, 'stages', 'evaluate.position.json');
  const begun = () => existsSync(position());
  await t.throwsAsync(run({ skipBad: 2 }, begun), { instanceOf: InterruptedError });
  t.regex(readFileSync(position(), 'utf8'), new RegExp(`"skippedImages": \\[\\s*"${val[0]!.name}"`));

  const { record, course } = await run();
  t.is(course, 'continued');
  t.like(record.details.evaluate, { images: 5, skippedImages: [val[0]!.name], splitImages: 6 });
  t.deepEqual(record.details.train?.skippedSamples, [train[0]!.name]);
  t.regex(whyNotComparable(record, loadTables())!, /1 validation image skipped/);

  truncateSync(val[1]!.image, 200);
  const error = await t.throwsAsync<UserError>(run({ resume: 'never' }), { instanceOf: UserError });
  t.regex(error!.next!, /Or leave up to N such samples out with --skip-bad N/, 'a new run has left none out');
});

test.serial('a run is resumed after its data set was repaired or lost files, and that is recorded', async (t) => {
  const { run, runs, said, train, val } = await workplace(t);
  await t.throwsAsync(
    run({}, () => true),
    { instanceOf: InterruptedError },
  );
  truncateSync(train[0]!.image, 200);
  rmSync(val[1]!.label);
  const refused = await t.throwsAsync<UserError>(run(), { instanceOf: UserError });
  t.true(refused!.message.includes(val[1]!.label), refused!.message);
  t.regex(refused!.next!, /--skip-bad N/);

  const { record, course } = await run({ skipBad: 2, resume: 'always' });
  t.is(course, 'continued');
  t.is(runs().length, 1);
  t.deepEqual(
    record.continued?.map(({ changed }) => changed),
    [['dataset']],
  );
  t.true(said.some((text) => /^Resuming run \S+\. Changed since its start: dataset; .* have other sizes/.test(text)));
  const found = said.find((text) => text.startsWith('1 file of 24 samples cannot be used: '));
  t.true(found?.includes(val[1]!.label), said.join('\n'));
  t.regex(found!, /They are left out \(--skip-bad 2\)\.$/);
  t.like(record.details.evaluate, { images: 5, skippedImages: [val[1]!.name], splitImages: 6 });

  rmSync(val[2]!.label);
  rmSync(val[2]!.image);
  const other = await t.throwsAsync<UserError>(run({ skipBad: 2, resume: 'always' }), { instanceOf: UserError });
  t.regex(other!.message, /differs from the requested run in: names of the images in the data set\.$/);
  t.is(runs().length, 1);
});
