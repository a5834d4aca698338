import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { datasetJsonSchema } from '../../src/data/description.js';
import { keysPage } from '../../src/pages/keys.js';
import { tableFileSchema } from '../../src/recipe/experiment.js';
import { recipeValues } from '../../src/recipe/overrides.js';
import { resolve } from '../../src/recipe/resolve.js';
import { packageRoot } from '../../src/support/package.js';

const page = keysPage();
const rows = page.split('\n').filter((line) => line.startsWith('| `'));

test('docs/keys.md is the page of this version', (t) => {
  t.is(readFileSync(path.join(packageRoot(), 'docs', 'keys.md'), 'utf8'), page, 'npm run build writes it');
});

test('the page has every key that the schemas know, each with its kind, default and meaning', (t) => {
  const named = new Set(rows.map((line) => /^\| `([^`]+)`/.exec(line)![1]!));
  const recipe = [...recipeValues(resolve({ row: 'camvid_r18-d8' })).keys()];
  const { properties } = datasetJsonSchema() as { properties: object };
  for (const key of [...Object.keys(tableFileSchema.shape), ...recipe, ...Object.keys(properties)]) {
    t.true(named.has(key), key);
  }
  const cells = rows.map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  t.deepEqual(
    cells.filter(([, , kind, , meaning]) => kind === '' || meaning === '').map(([, key]) => key),
    ['`model`', '`data`', '`training`', '`evaluation`', '`benchmark`'],
  );
});

test('defaults are those of base.yaml, or follow from other keys', (t) => {
  const row = (key: string) => rows.find((line) => line.startsWith(`| \`${key}\``));
  t.regex(row('training.momentum')!, /\| `0\.9` \|/);
  t.regex(row('data.cropHw')!, /at most 512/);
  t.regex(row('data.dataset')!, /\| required \|/);
  t.regex(row('rows[].recipe')!, /\| section, as below \|/);
});

test('the schema beside the data sets is that of this version, and each names it', (t) => {
  const folder = path.join(packageRoot(), 'datasets');
  const schema = `${JSON.stringify(datasetJsonSchema(), null, 2)}\n`;
  t.is(readFileSync(path.join(folder, 'schema.json'), 'utf8'), schema, 'npm run build writes it');
  for (const id of ['ade20k', 'camvid', 'cityscapes', 'pascal-context', 'pascal-context-59', 'voc2012-aug']) {
    const [first] = readFileSync(path.join(folder, `${id}.yaml`), 'utf8').split('\n');
    t.is(first, '# yaml-language-server: $schema=./schema.json');
  }
});
