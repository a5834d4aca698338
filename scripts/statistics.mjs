// Measures the structure of src: files, lines, imports, cycles, long functions, exports used once. Prints JSON with --json.
//
//   node scripts/statistics.mjs [--json] [FOLDER]
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.mjs';

const LONG_FUNCTION = 80;

/** Every source file below a folder, as paths relative to the root, with forward slashes. */
export function sourceFiles(folder) {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.c?ts$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort();
}

const IMPORT = /^(?:import|export)\s+(type\s+)?([^;'"]*?)\s*from\s+'(\.[^']*)'/gms;
const LAZY_IMPORT = /\bimport\('(\.[^']*)'\)/g;

/** The imports of a file. `typeOnly` ones do not exist at run time; `lazy` ones are made when a function is called. */
export function importsOf(file) {
  const text = readFileSync(path.join(root, file), 'utf8');
  const target = (specifier) =>
    path.posix.join(path.posix.dirname(file), specifier).replace(/\.(c?)js$/, (_, c) => `.${c}ts`);
  const names = (clause) =>
    [...clause.replace(/[{}]/g, ',').split(',')]
      .map((name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0]
          .trim(),
      )
      .filter((name) => name !== '');
  return [
    ...[...text.matchAll(IMPORT)].map(([, type, clause, specifier]) => ({
      file: target(specifier),
      names: names(clause),
      typeOnly: type !== undefined,
      lazy: false,
    })),
    ...[...text.matchAll(LAZY_IMPORT)].map(([, specifier]) => ({
      file: target(specifier),
      names: [],
      typeOnly: false,
      lazy: true,
    })),
  ];
}

/** Groups of files that import each other in a circle: Tarjan's strongly connected components of more than one file. */
export function cycles(graph) {
  const order = new Map();
  const lowest = new Map();
  const stack = [];
  const found = [];
  const visit = (file) => {
    order.set(file, order.size);
    lowest.set(file, order.get(file));
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) lowest.set(file, Math.min(lowest.get(file), lowest.get(next)));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1) found.push(group.sort());
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

const FUNCTION =
  /^(\s*)(?:export\s+)?(?:default\s+)?(?:(?:public|private|protected|static|override|readonly|async)\s+)*(?:function\*?\s+)?([A-Za-z_$][\w$]*)\s*(?:<[^(]*>)?\(|^(\s*)(?:export\s+)?const\s+([A-Za-z_$][\w$]*)\s*(?::[^=]*)?=\s*(?:async\s*)?(?:<[^(]*>)?\(/;
const STATEMENT = new Set([
  'if',
  'for',
  'while',
  'switch',
  'return',
  'catch',
  'await',
  'throw',
  'super',
  'constructor',
]);

/** Functions, methods and named closures with their lines. Relies on the formatter: a body ends at the indent at which it began. */
export function functionsOf(file) {
  const lines = readFileSync(path.join(root, file), 'utf8').split('\n');
  return lines.flatMap((line, start) => {
    const match = FUNCTION.exec(line);
    if (match === null) return [];
    const indent = match[1] ?? match[3];
    const name = match[2] ?? match[4];
    if (STATEMENT.has(name)) return [];
    // The line that opens the body: this one, or the one that closes the parameters at the same indent.
    const opens = (text) =>
      text.endsWith('{') && (text === line || text.startsWith(`${indent})`) || text.startsWith(`${indent}}`));
    let open = start;
    while (open < lines.length && !opens(lines[open])) {
      if (open > start && !lines[open].startsWith(`${indent} `) && !lines[open].startsWith(`${indent})`)) return [];
      open++;
    }
    const end = lines.findIndex(
      (text, at) => at > open && [`${indent}}`, `${indent}};`, `${indent}},`, `${indent}});`].includes(text),
    );
    return end < 0 ? [] : [{ file, name, lines: end - start + 1 }];
  });
}

/** All figures of a folder of sources. */
export function statistics(folder = 'src') {
  const files = sourceFiles(folder);
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  const lines = files.map((file) => readFileSync(path.join(root, file), 'utf8').split('\n').length - 1);
  const graph = new Map([...imports].map(([file, list]) => [file, [...new Set(list.map((each) => each.file))]]));
  const functions = files.flatMap(functionsOf).sort((a, b) => b.lines - a.lines);
  const importers = new Map();
  for (const [file, list] of imports) {
    for (const each of list) {
      for (const name of each.names) {
        const key = `${each.file} ${name}`;
        importers.set(key, (importers.get(key) ?? new Set()).add(file));
      }
    }
  }
  const exported = files.flatMap((file) =>
    [...readFileSync(path.join(root, file), 'utf8').matchAll(/^export (?:async )?function\*? ([\w$]+)/gm)].map(
      ([, name]) => ({ file, name }),
    ),
  );
  const names = new Map();
  for (const file of files) {
    const text = readFileSync(path.join(root, file), 'utf8');
    for (const [, name] of text.matchAll(
      /^export (?:abstract |async )*(?:function\*?|class|interface|type|const|enum) ([\w$]+)/gm,
    )) {
      names.set(name, [...(names.get(name) ?? []), file]);
    }
  }
  return {
    files: files.length,
    lines: lines.reduce((sum, each) => sum + each, 0),
    filesUnder40Lines: lines.filter((each) => each < 40).length,
    filesOver400Lines: lines.filter((each) => each > 400).length,
    imports: [...imports.values()].reduce((sum, list) => sum + list.length, 0),
    cycles: cycles(graph),
    exportedFunctions: exported.length,
    exportedFunctionsOfOneImporter: exported.filter(({ file, name }) => importers.get(`${file} ${name}`)?.size === 1)
      .length,
    namesWithTwoMeanings: [...names]
      .filter(([, where]) => where.length > 1)
      .map(([name, where]) => ({ name, files: where })),
    longFunctions: functions.filter((each) => each.lines > LONG_FUNCTION),
    longestFunction: functions[0],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = 'src'] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const figures = statistics(folder);
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify(figures, null, 2));
  } else {
    for (const [name, value] of Object.entries(figures)) {
      if (!Array.isArray(value))
        console.log(`${name}: ${typeof value === 'object' ? Object.values(value).join(' ') : value}`);
      else
        console.log(
          `${name}: ${value.length}${value.map((each) => `\n  ${Array.isArray(each) ? each.join(' ') : Object.values(each).join(' ')}`).join('')}`,
        );
    }
  }
}
