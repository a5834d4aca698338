import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { canonicalJson, hashExperiment } from '../../src/recipe/resolve.js';
import { RunReader } from '../../src/runs/run-reader.js';
import { recipeFilesHash } from '../../src/runs/run-recipe.js';
import { packageRoot } from '../../src/support/package.js';
import { tinyExperiment } from '../helpers/experiments.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const camvid = readFileSync(path.join(packageRoot(), 'datasets', 'camvid.yaml'), 'utf8');

test('what the files of a recipe say is hashed as far as the stages need it', async (t) => {
  const folder = await temporaryFolder(t);
  const [dataset, pretrained] = [path.join(folder, 'mine.yaml'), path.join(folder, 'backbone.pth')];
  await writeFiles(folder, { 'mine.yaml': camvid, 'backbone.pth': 'weights' });
  const tiny = tinyExperiment();
  const experiment = { ...tiny, data: { ...tiny.data, dataset }, model: { ...tiny.model, pretrained } };
  const hash = async () => (await recipeFilesHash(experiment, ['train']))!;
  const first = await hash();
  t.is(await hash(), first);

  writeFileSync(dataset, camvid.replace('name: CamVid', 'name: Mine'));
  t.is(await hash(), first, 'no figure depends on the name');
  writeFileSync(dataset, camvid.replace('folder: camvid', 'folder: other'));
  t.not(await hash(), first);
  writeFileSync(dataset, camvid);
  writeFileSync(pretrained, 'other weights');
  t.not(await hash(), first);

  const evaluated = await recipeFilesHash(experiment, ['evaluate']);
  writeFileSync(pretrained, 'weights');
  t.is(await recipeFilesHash(experiment, ['evaluate']), evaluated, 'an evaluation needs no backbone');
  t.is(await recipeFilesHash(experiment, ['benchmark']), undefined);
  t.is(await recipeFilesHash({ ...tiny, model: { ...tiny.model, pretrained: null } }, ['train']), undefined);
});

test('a run whose hash an earlier version took of paths has the hash of today', async (t) => {
  const folder = await temporaryFolder(t);
  const tiny = tinyExperiment();
  const experiment = { ...tiny, data: { ...tiny.data, dataset: 'sets/mine.yaml' } };
  const earlier = createHash('sha256').update(canonicalJson(experiment)).digest('hex');
  await writeFiles(folder, { 'experiment.json': JSON.stringify(experiment) });
  const reader = new RunReader(folder);
  t.not(earlier, hashExperiment(experiment));
  t.is(await reader.recipeHash(earlier), hashExperiment(experiment));
  t.is(await reader.recipeHash('of another recipe'), 'of another recipe');
  writeFileSync(path.join(folder, 'experiment.json'), 'damaged');
  t.is(await reader.recipeHash(earlier), earlier);
});
