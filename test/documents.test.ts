import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../src/support/package.js';

const ROOT = packageRoot();
const PAGES = readdirSync(path.join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'results/README.md', ...PAGES];

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const exists = (file: string) => existsSync(path.join(ROOT, file));

/** A page's text without code: neither blocks nor spans of it hold links. */
function prose(text: string): string {
  return text
    .replaceAll(/^```.*?^```$/gms, '')
    .replaceAll(/^ {4}.*$/gm, '')
    .replaceAll(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));
}

/** Where the links of a page lead, both forms of links. */
function linksOf(text: string): string[] {
  const inline = [...prose(text).matchAll(/\]\(([^()\s]+)\)/g)];
  const defined = [...prose(text).matchAll(/^\[[^\]]+\]: (\S+)/gm)];
  return [...inline, ...defined].map(([, target]) => target!);
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): string[] {
  return [...text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The links of a page that lead nowhere. */
function deadLinks(file: string, text: string): string[] {
  return linksOf(text).filter((link) => {
    if (URL.canParse(link)) return false;
    const [target, anchor] = link.split('#').map(decodeURIComponent);
    const page = target === '' ? file : path.posix.join(path.posix.dirname(file), target!);
    if (page.startsWith('..') || (page !== file && !exists(page))) return true;
    return anchor !== undefined && !anchorsOf(page === file ? text : read(page)).includes(anchor);
  });
}

test('every relative link of a page leads to a file that is there, and to a heading in it', (t) => {
  for (const file of DOCUMENTS) t.deepEqual(deadLinks(file, read(file)), [], file);
  const planted = '# A\n[a](tour.md) [b](#a) [c](absent.md) [d](tour.md#absent) `[e](f)`\n\n[g]: ../absent\n';
  t.deepEqual(deadLinks('docs/planted.md', planted), ['absent.md', 'tour.md#absent', '../absent']);
});

/** Folders whose files pages name by their path from the repository's root. */
const FOLDERS = /^(src|assembly|test|scripts|docs|experiments|datasets|reference|\.github)\//;

/** Paths in code spans of a page that are not there. Patterns, placeholders and what commands write are left out. */
function absentPaths(text: string): string[] {
  const named = [...text.matchAll(/`([^`\s]+)`/g)].map(([, code]) => code!);
  return named.filter((code) => {
    if (/[*{}<>…$]|[A-Z]{3,}/.test(code)) return false;
    if (FOLDERS.test(code)) return !exists(code);
    // Within src, as docs/architecture.md names them.
    return /^[a-z][a-z-]*\/[a-z/-]+\.ts$/.test(code) && !exists(`src/${code}`);
  });
}

test('every file that a page names is there', (t) => {
  for (const file of DOCUMENTS.filter((file) => file !== 'CHANGELOG.md'))
    t.deepEqual(absentPaths(read(file)), [], file);
  t.deepEqual(absentPaths('`src/absent.ts`, `runs/absent.ts`, `src/runs/execute.ts`, `src/NAME.ts`'), [
    'src/absent.ts',
    'runs/absent.ts',
  ]);
});

/** Names in code that a page says stand in a file, as in `chooseCrop` (`src/data/transforms/crop.ts`), and do not. */
function absentNames(text: string): string[] {
  const named = [...text.matchAll(/((?:`[\w.]+`(?:,| and| or)? )+)(?:\(|in )?`(src\/[^`]+\.ts)`/g)];
  return named.flatMap(([, names, file]) =>
    [...names!.matchAll(/`([\w.]+)`/g)]
      .flatMap(([, name]) => name!.split('.'))
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(read(file!)))
      .map((name) => `${name} in ${file}`),
  );
}

test('every function that the tour names stands in the file that it names', (t) => {
  const tour = read('docs/tour.md').replaceAll(/\n +/g, ' ');
  t.deepEqual(absentNames(tour), []);
  t.true([...tour.matchAll(/`src\/[^`]+\.ts`/g)].length > 80);
  t.deepEqual(absentNames('`chooseCrop` and `absent` (`src/data/transforms/crop.ts`)'), [
    'absent in src/data/transforms/crop.ts',
  ]);
});

test('the index names every page', (t) => {
  const index = linksOf(read('docs/README.md'));
  const others = PAGES.map((page) => path.posix.basename(page)).filter((page) => page !== 'README.md');
  t.deepEqual(
    others.filter((page) => !index.includes(page)),
    [],
  );
  const inReadme = linksOf(read('README.md'));
  t.deepEqual(
    others.filter((page) => !inReadme.some((link) => link.startsWith(`docs/${page}`))),
    [],
  );
});
