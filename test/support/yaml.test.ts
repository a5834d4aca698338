import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { packageRoot } from '../../src/support/package.js';
import { builtValue } from '../../src/support/parsed-yaml.js';
import { parseYaml, parseYamlValue } from '../../src/support/yaml.js';

const files = ['datasets', 'experiments'].flatMap((folder) =>
  readdirSync(path.join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => path.join(packageRoot(), folder, name)),
);

test('the build has the values of every YAML file of the package, as the library reads them', (t) => {
  t.true(files.length > 14);
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    t.deepEqual(builtValue(text), parse(text), file);
    t.not(builtValue(text), builtValue(text), 'new each time');
    t.deepEqual(parseYaml(text, file).value, parse(text), file);
  }
});

test('a file of the package that was changed is parsed', (t) => {
  const text = `${readFileSync(path.join(packageRoot(), 'experiments', 'camvid.yaml'), 'utf8')}\nmore: [1]\n`;
  t.is(builtValue(text), undefined);
  t.deepEqual((parseYaml(text, 'camvid.yaml').value as { more: unknown }).more, [1]);
});

test('lines of values are those of the text, whether the build has its values or not', (t) => {
  const text = readFileSync(path.join(packageRoot(), 'experiments', 'cityscapes.yaml'), 'utf8');
  const [known, parsed] = [parseYaml(text, 'a.yaml'), parseYaml(`${text}\n`, 'a.yaml')];
  for (const where of [['rows', 3, 'id'], ['rows'], ['nothing']]) t.is(known.lineOf(where), parsed.lineOf(where));
  t.true(known.lineOf(['rows', 3, 'id']) > known.lineOf(['rows']));
});

test('a single value is what the library reads', (t) => {
  for (const text of [
    '4',
    '-0.50',
    '0',
    '-0',
    '1e3',
    '012',
    '+1',
    '.5',
    '1_000',
    '0x10',
    '1.',
    'null',
    '[1, 2]',
    'a b',
  ]) {
    t.deepEqual(parseYamlValue(text), { value: parse(text) }, text);
  }
  t.true('problem' in parseYamlValue('[1'));
});
