import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { differences, hashExperiment, resolve } from '../../src/recipe/resolve.js';
import { selectRow } from '../../src/recipe/select.js';
import { RunReader } from '../../src/runs/run-reader.js';
import { chooseRecipe } from '../../src/runs/run-recipe.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { writeRun } from '../helpers/runs.js';

const ROW = 'camvid_r18-d8';
const OPTIONS = { row: ROW, profile: 'smoke', overrides: ['width=4', 'iterations=7', 'checkpointEvery=3'], seed: 3 };
const NOTHING_GIVEN = { profile: 'full', isProfileGiven: false };

test("a run's recipe is its own, with what the command changes on top", async (t) => {
  const { directory } = await writeRun(await temporaryFolder(t), OPTIONS, {}, []);
  const run = new RunReader(directory);
  const own = resolve(OPTIONS);
  const { experiment, deviations, overrides } = await chooseRecipe(run, NOTHING_GIVEN);
  t.is(hashExperiment(experiment), hashExperiment(own));
  t.deepEqual(deviations, differences(own, selectRow(ROW).recipe));
  t.deepEqual([...overrides].sort(), ['checkpointEvery=3', 'iterations=7', 'width=4']);

  const changed = await chooseRecipe(run, { ...NOTHING_GIVEN, overrides: ['evaluation.limit=2'], seed: 5, row: ROW });
  t.deepEqual(
    [changed.experiment.evaluation.limit, changed.experiment.seed, changed.experiment.model.width],
    [2, 5, 4],
  );
  t.deepEqual([...changed.overrides].sort(), ['checkpointEvery=3', 'iterations=7', 'limit=2', 'width=4']);
  t.is(
    hashExperiment(changed.experiment),
    hashExperiment(resolve({ ...OPTIONS, overrides: changed.overrides, seed: 5 })),
  );
});

test('another row or profile than the run has is an error, as is a wrong override', async (t) => {
  const { directory } = await writeRun(await temporaryFolder(t), OPTIONS, {}, []);
  const run = new RunReader(directory);
  const message = async (request: Partial<Parameters<typeof chooseRecipe>[1]>) =>
    (await t.throwsAsync(chooseRecipe(run, { ...NOTHING_GIVEN, ...request }), { instanceOf: UserError }))!.message;
  const row = 'fcn_r50-d8_512x1024_40k_cityscapes';
  t.regex(await message({ row }), /^The weights are of camvid_r18-d8\/.*, but the row fcn_r50-d8_.* was given\.$/);
  t.regex(await message({ isProfileGiven: true }), /a run of the smoke profile, but --profile full was given\.$/);
  t.regex(await message({ overrides: ['widht=8'] }), /--set widht: the recipe has no such value/);
});

test('a run of a row that is in no table here says itself from what it deviates', async (t) => {
  const { directory, record } = await writeRun(await temporaryFolder(t), OPTIONS, {}, []);
  const named = { ...record.experiment, row: 'mine', table: 'Local' };
  await writeFile(path.join(directory, 'experiment.json'), JSON.stringify(named));
  const run = new RunReader(directory);
  const { deviations, experiment, overrides } = await chooseRecipe(run, NOTHING_GIVEN);
  t.is(experiment.row, 'mine');
  t.deepEqual(deviations, record.deviations);
  t.deepEqual([...overrides].sort(), ['checkpointEvery=3', 'iterations=7', 'width=4']);
  await rm(path.join(directory, 'record.json'));
  await t.throwsAsync(chooseRecipe(run, NOTHING_GIVEN), {
    instanceOf: UserError,
    message: /does not say from which recipe it deviates/,
  });
});
