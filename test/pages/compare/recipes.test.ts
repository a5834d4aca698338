import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compareRecipes, formatRecipeComparison } from '../../../src/pages/compare/recipes.js';
import { fcn } from '../../helpers/command.js';
import { NARROW_AND_WIDE } from '../../helpers/experiments.js';
import { temporaryFolder, writeFiles } from '../../helpers/folder.js';
import { catalogueOf, writeRun } from '../../helpers/runs.js';

const ROW = 'camvid_r18-d8';
const CITYSCAPES = 'fcn_r18-d8_512x1024_80k_cityscapes';
const UNCHANGED = { overrides: [] };

async function emptyCatalogue(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  return { folder, folders, catalogue: catalogueOf(folders) };
}

test('rows: what differs, by section, with both values', async (t) => {
  const { catalogue } = await emptyCatalogue(t);
  const compared = await compareRecipes(ROW, CITYSCAPES, UNCHANGED, catalogue);
  const of = (path: string) => compared.differences.find((one) => one.path === path);
  t.deepEqual(of('model.classes'), { path: 'model.classes', a: 11, b: 19 });
  t.deepEqual(of('data.cropHw'), { path: 'data.cropHw', a: [256, 256], b: [512, 1024] });
  t.is(of('model.depth'), undefined);
  const text = formatRecipeComparison(compared, 80);
  for (const line of text.split('\n')) t.true(line.length <= 80, line);
  const sections = [...text.matchAll(/^│ (\w+) +│ A +│ B +│$/gm)].map(([, name]) => name);
  t.deepEqual(sections, ['model', 'data', 'training', 'evaluation', 'benchmark']);
  t.regex(text, /^│ classes +│ 11 +│ 19 +│$/m);
  t.regex(text, /^A {2}camvid_r18-d8 \(Local, full profile\)\nB {2}fcn_r18.*\(Cityscapes, full profile\)$/m);
});

test('a run beside its row, and beside another run; seeds are not part of a recipe', async (t) => {
  const { folders, catalogue } = await emptyCatalogue(t);
  await writeRun(folders.runs, { row: ROW, overrides: ['width=16'], profile: 'smoke' }, { run: 'aaa' }, []);
  await writeRun(folders.runs, { row: ROW, profile: 'smoke', seed: 3 }, { run: 'bbb' }, []);
  // The smoke profile has width 16, too.
  t.deepEqual((await compareRecipes('aaa', 'bbb', UNCHANGED, catalogue)).differences, []);
  const alone = await compareRecipes('aaa', undefined, UNCHANGED, catalogue);
  t.deepEqual([alone.differences, alone.b.label], [[], `${ROW} (Local, smoke profile)`]);
  t.regex(formatRecipeComparison(alone, 80), /\n\nThe recipes are the same\.$/);
  const published = await compareRecipes('aaa', ROW, UNCHANGED, catalogue);
  t.true(published.differences.some(({ path, a, b }) => path === 'model.width' && a === 16 && b === 64));
  await t.throwsAsync(compareRecipes('aaa', ROW, { profile: 'full', overrides: [] }, catalogue), {
    message: /camvid_r18-d8\/aaa is of the smoke profile: its recipe cannot be turned into that of the full profile/,
  });
});

test('--set and --profile apply to both', async (t) => {
  const { folders, catalogue } = await emptyCatalogue(t);
  await writeRun(folders.runs, { row: ROW, overrides: ['width=16', 'batch=5'] }, { run: 'aaa' }, []);
  const set = await compareRecipes('aaa', ROW, { overrides: ['width=8'] }, catalogue);
  t.deepEqual(set.differences, [{ path: 'training.batch', a: 5, b: 4 }]);
  t.is(set.a.experiment.model.width, 8);
  const smoke = await compareRecipes('aaa', ROW, { profile: 'smoke', overrides: [] }, catalogue);
  t.deepEqual([smoke.differences, smoke.a.profile], [[], 'smoke']);
});

test('rows of experiment files; what is meant by nothing is said', async (t) => {
  const { folder, catalogue } = await emptyCatalogue(t);
  await writeFiles(folder, { 'mine.yaml': NARROW_AND_WIDE });
  const file = path.join(folder, 'mine.yaml');
  const { differences } = await compareRecipes(`${file}:narrow`, `${file}:wide`, UNCHANGED, catalogue);
  t.deepEqual(differences, [{ path: 'model.width', a: 4, b: 8 }]);
  // A file that a recipe names counts by its name, wherever it is.
  const ofFile = NARROW_AND_WIDE.replace('dataset: camvid', 'dataset: set.yaml');
  await writeFiles(folder, { 'one/mine.yaml': ofFile, 'two/mine.yaml': ofFile });
  const [one, two] = ['one', 'two'].map((name) => `${path.join(folder, name, 'mine.yaml')}:wide`);
  t.deepEqual((await compareRecipes(one!, two, UNCHANGED, catalogue)).differences, []);
  const refused = (reference: string, message: RegExp) =>
    t.throwsAsync(compareRecipes(reference, ROW, UNCHANGED, catalogue), { name: 'UserError', message });
  await refused(file, /mine\.yaml has 2 rows, and one is wanted\./);
  await refused(`${file}:wider`, /Unknown row: wider/);
  await refused(path.join(folder, 'none.yaml'), /none\.yaml/);
  const unknown = await refused('camvid_r18-d9', /No run is called camvid_r18-d9/);
  t.like(unknown, { next: `Did you mean the row ${ROW}? fcn list shows all rows.` });
  await t.throwsAsync(compareRecipes(ROW, undefined, UNCHANGED, catalogue), { message: /nothing to compare/ });
});

test('fcn compare --recipe prints and gives JSON; its flags mean nothing without it', async (t) => {
  const cwd = await temporaryFolder(t);
  const compared = await fcn(['compare', '--recipe', ROW, ROW, '--set', 'width=8', '--json'], { cwd });
  t.is(compared.code, 0, compared.stderr);
  t.like(JSON.parse(compared.stdout), { same: true, differences: [], a: { kind: 'row', row: ROW, seed: null } });
  const other = await fcn(['compare', '--recipe', ROW, CITYSCAPES, '--json'], { cwd });
  t.like(JSON.parse(other.stdout), {
    same: false,
    differences: [{ section: 'model', path: 'model.classes', a: 11, b: 19 }],
  });
  const alone = await fcn(['compare', ROW, '--set', 'width=8'], { cwd });
  t.is(alone.code, 2);
  t.regex(alone.stderr, /--set also needs --recipe|--recipe/);
});
