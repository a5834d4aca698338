import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ENGINE_NAMES } from '../src/engines/engine.js';

interface Import {
  readonly file: string;
  readonly names: readonly string[];
}

interface Statistics {
  sourceFiles(folder: string): string[];
  importsOf(file: string): Import[];
  cycles(graph: ReadonlyMap<string, readonly string[]>): string[][];
}

const ROOT = new URL('../..', import.meta.url);
const { sourceFiles, importsOf, cycles } = (await import(new URL('scripts/statistics.mjs', ROOT).href)) as Statistics;

/** The folders of src from the bottom up, as docs/architecture.md has them: a file imports from its own folder and from those before it. */
const ORDER = /^ {4}src\/(\w[\w-]*)\/ /gm;
const order = [...readFileSync(new URL('docs/architecture.md', ROOT), 'utf8').matchAll(ORDER)].map(([, name]) => name!);

const files = sourceFiles('src');
const folderOf = (file: string) => file.split('/')[1]!;

/** The imports of a file that lead to a folder above its own. */
function upward(file: string, imports: readonly Import[]): string[] {
  return imports
    .filter(({ file: target }) => order.indexOf(folderOf(target)) > order.indexOf(folderOf(file)))
    .map(({ file: target }) => `${file} imports ${target}`);
}

test('docs/architecture.md names every folder of src, from the bottom up', (t) => {
  t.deepEqual([...order].sort(), [...new Set(files.map(folderOf))].sort());
});

test('no file imports one of a folder above its own', (t) => {
  t.deepEqual(
    files.flatMap((file) => upward(file, importsOf(file))),
    [],
  );
  // What would be told.
  t.deepEqual(upward('src/support/hash.ts', [{ file: 'src/runs/plan.ts', names: [] }]), [
    'src/support/hash.ts imports src/runs/plan.ts',
  ]);
});

test('no files import each other in a circle, types included', (t) => {
  const graph = new Map(files.map((file) => [file, [...new Set(importsOf(file).map((one) => one.file))]]));
  t.deepEqual(cycles(graph), []);
  const planted = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', ['a']],
  ]);
  t.deepEqual(cycles(planted), [['a', 'b', 'c']]);
});

test('every import leads to a file', (t) => {
  const known = new Set(files);
  const lost = files.flatMap((file) =>
    importsOf(file)
      .filter((one) => !known.has(one.file))
      .map((one) => one.file),
  );
  t.deepEqual(lost, []);
});

test('only engines/, kernels/ and what names them for people know which engine is on', (t) => {
  const pattern = new RegExp(
    `\\bengine\\.(?:native|gpu)\\b|(?:===|!==|case) '(?:${ENGINE_NAMES.join('|')})'|\\[engine\\.name\\]`,
  );
  const knows = (text: string) => pattern.test(text);
  const telling = files.filter(
    (file) => !['engines', 'kernels'].includes(folderOf(file)) && knows(readFileSync(new URL(file, ROOT), 'utf8')),
  );
  t.deepEqual(
    telling.map((file) => path.posix.basename(file)),
    [],
  );
  for (const text of ["if (engine.name === 'webgpu')", 'if (engine.gpu !== null)', 'MEMORY[engine.name]'])
    t.true(knows(text), text);
});

test('only commands and cli/ import oclif', (t) => {
  const found = files.filter(
    (file) =>
      !['commands', 'cli'].includes(folderOf(file)) && /'@oclif\//.test(readFileSync(new URL(file, ROOT), 'utf8')),
  );
  t.deepEqual(found, []);
});

test('no test depends on chance, and none that did not run passes', (t) => {
  const wrong = [
    { what: 'Math.random()', pattern: /\bMath\.random\b/ },
    { what: 'cases of another seed in each run: import test/helpers/properties.ts', pattern: /from 'fast-check'/ },
    { what: 'returns without an assertion: declare it with test.skip', pattern: /return t\.pass\(\)|\bt\.log\(/ },
  ];
  const [own, properties] = ['test/structure.test.ts', 'test/helpers/properties.ts'];
  const found = sourceFiles('test')
    .filter((file) => file !== own && file !== properties)
    .flatMap((file) => {
      const text = readFileSync(new URL(file, ROOT), 'utf8');
      return wrong.filter(({ pattern }) => pattern.test(text)).map(({ what }) => `${file}: ${what}`);
    });
  t.deepEqual(found, []);
});
