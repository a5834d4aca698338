import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type * as library from 'yaml';
import { type core, type ZodType, z } from 'zod';
import { UserError } from './errors.js';
import { explainFileError } from './files.js';
import { endSentence, listNames } from './format.js';
import { builtValue } from './parsed-yaml.js';
import { alternatives, nearestAll } from './suggest.js';

/** Position of a value in a document: keys and indices from the top. */
type ValuePath = readonly PropertyKey[];

/** What is wrong with a value, and where. */
interface Finding {
  readonly path: ValuePath;
  readonly message: string;
}

/** A path as people write it: `rows[3].published.mIoU`. */
export function formatPath(path: ValuePath): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`)).join('');
}

/** A whole sentence: "training.batch: expected a whole number." Without the path if it is about the whole document. */
export function formatFinding({ path, message }: Finding): string {
  return endSentence(path.length === 0 ? message : `${formatPath(path)}: ${message}`);
}

function unwrap(schema: core.$ZodType): core.$ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ? unwrap(schema.unwrap()) : schema;
}

/** The schema of the value at a path; undefined if the schema has no such value. */
function schemaAt(schema: core.$ZodType, path: ValuePath): core.$ZodType | undefined {
  if (path.length === 0) return schema;
  const [key, ...rest] = path;
  const inner = unwrap(schema);
  let next: core.$ZodType | undefined;
  if (inner instanceof z.ZodObject) next = inner.shape[String(key)];
  else if (inner instanceof z.ZodArray) next = inner.element;
  else if (inner instanceof z.ZodRecord) next = inner.valueType;
  else if (inner instanceof z.ZodTuple) next = inner.def.items[Number(key)];
  return next === undefined ? undefined : schemaAt(next, rest);
}

function valueAt(value: unknown, path: ValuePath): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined,
    value,
  );
}

/** zod's names for kinds of values, in plain words. */
const KINDS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a section',
  record: 'a section',
};

/** zod's signs for bounds of a number ("to be >=") and of the length of a list or text ("to have >="), in words. */
const BOUNDS: Readonly<Record<string, { readonly be: string; readonly have: string }>> = {
  '>=': { be: 'of at least', have: 'with at least' },
  '>': { be: 'above', have: 'with more than' },
  '<=': { be: 'of at most', have: 'with at most' },
  '<': { be: 'below', have: 'with less than' },
};

/** "Invalid input: expected int, received string" → "expected a whole number". */
function plainMessage(message: string): string {
  const body = message.replace(/^(Invalid input|Invalid option|Too small|Too big): /, '').replace(/, received .*$/, '');
  const worded = body.replace(/^expected (\w+)/, (whole, kind: string) =>
    kind in KINDS ? `expected ${KINDS[kind]}` : whole,
  );
  return (worded.charAt(0).toLowerCase() + worded.slice(1))
    .replace(/ to (be|have) ([<>]=?)/, (_, verb: 'be' | 'have', sign: string) => ` ${BOUNDS[sign]![verb]} `)
    .replace(/\b1 (item|character)s\b/, '1 $1')
    .replace(' to be ', ' ');
}

/** The keys of a section that its schema does not know, each with what may be meant. */
function explainUnknown(schema: core.$ZodType, { path, keys }: core.$ZodIssueUnrecognizedKeys): Finding[] {
  const inner = schemaAt(schema, path);
  const object = inner === undefined ? undefined : unwrap(inner);
  const known = object instanceof z.ZodObject ? Object.keys(object.shape) : [];
  return keys.map((key) => {
    const meant = nearestAll(key, known);
    const hint = meant.length === 0 ? `known keys: ${known.join(', ')}` : `did you mean ${alternatives(meant)}?`;
    return { path: [...path, key], message: `unknown key; ${hint}` };
  });
}

function explainWrong(value: unknown, issue: core.$ZodIssue): Finding {
  const found = valueAt(value, issue.path);
  // A check of a key passes on what it got, which is not the value.
  const got = issue.code === 'custom' ? issue.params?.['got'] : undefined;
  const shown = got ?? (typeof found === 'number' ? found : JSON.stringify(found));
  return { path: issue.path, message: `${plainMessage(issue.message)}, got ${shown}` };
}

/** The values that are missing, as one finding at what holds them all. */
function explainMissing(issues: readonly core.$ZodIssue[]): Finding {
  const paths = issues.map((issue) => issue.path);
  const first = paths[0]!;
  const differs = first.findIndex((key, i) => paths.some((path) => path[i] !== key));
  const shared = first.slice(0, Math.min(differs < 0 ? first.length : differs, first.length - 1));
  const names = paths.map((path) => formatPath(path.slice(shared.length)));
  if (names.length === 1) return { path: first, message: 'is missing' };
  return { path: shared, message: `${listNames(names)} are missing` };
}

/** What is wrong with a value: at least one thing. */
type Findings = readonly [Finding, ...Finding[]];

/**
 * All that is wrong: unknown keys first, then wrong values and, as one finding, the missing ones. A misspelt key is also a missing one,
 * so beside unknown keys nothing is said to be missing.
 */
function explain(
  schema: core.$ZodType,
  value: unknown,
  issues: readonly core.$ZodIssue[],
  derived: readonly string[],
): Findings {
  const unknown = issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? explainUnknown(schema, issue) : []));
  const others = issues.filter(({ code }) => code !== 'unrecognized_keys');
  const missing = others.filter(({ path }) => valueAt(value, path) === undefined);
  const given = missing.filter(({ path }) => !derived.includes(formatPath(path)));
  const named = given.length > 0 ? given : missing;
  const wrong = others.filter((issue) => !missing.includes(issue)).map((issue) => explainWrong(value, issue));
  // Of a value that is wrong in two ways, one is enough.
  const paths = wrong.map(({ path }) => formatPath(path));
  const distinct = wrong.filter((_, i) => paths.indexOf(paths[i]!) === i);
  const absent = unknown.length > 0 || named.length === 0 ? [] : [explainMissing(named)];
  return [...unknown, ...distinct, ...absent] as [Finding, ...Finding[]];
}

/**
 * Checks a value; returns it typed, or what is wrong with it.
 * @param derived Paths of values that follow from others: they are not named among the missing ones.
 */
export function check<T>(
  schema: z.ZodType<T>,
  value: unknown,
  derived: readonly string[] = [],
): { readonly value: T } | { readonly finding: Finding; readonly findings: Findings } {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  const findings = explain(schema, value, parsed.error.issues, derived);
  return { finding: findings[0], findings };
}

/** A parsed YAML file with the lines of its values. */
export interface YamlFile {
  readonly file: string;
  readonly value: unknown;
  /** The line (from 1) of the key or item at a path, or of the nearest existing value around it. */
  lineOf(path: ValuePath): number;
}

const require = createRequire(import.meta.url);

/** The library, loaded only when a text must be parsed: its many files take 35 ms of processor time. */
const loadLibrary = () => require('yaml') as typeof library;

/**
 * Parses the text of a YAML file.
 * @throws UserError that names file and line if it is not valid YAML (a repeated key included).
 */
export function parseYaml(text: string, file: string): YamlFile {
  const value = builtValue(text);
  if (value === undefined) return parseText(text, file);
  let parsed: YamlFile | null = null;
  return {
    file,
    value,
    lineOf(path) {
      parsed ??= parseText(text, file);
      return parsed.lineOf(path);
    },
  };
}

function parseText(text: string, file: string): YamlFile {
  const { isMap, isNode, isScalar, LineCounter, parseDocument } = loadLibrary();
  const lines = new LineCounter();
  // The library must print nothing: its errors and warnings are thrown below, and the schema finds the rest.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const [error] = [...document.errors, ...document.warnings];
  if (error) {
    throw new UserError(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`, 'Fix the YAML at that line.');
  }
  const result = documentValue(document);
  if ('problem' in result) throw new UserError(`${file}: ${result.problem}.`, 'Replace the aliases by their values.');
  return {
    file,
    value: result.value,
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
        const key = String(path[length - 1]);
        const pair = isMap(parent) && parent.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
        const node = pair ? pair.key : document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return 1;
    },
  };
}

/** A decimal number without an exponent. */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

/** A single value written as in YAML; or, as a text, why it is none. */
export function parseYamlValue(text: string): { readonly value: unknown } | { readonly problem: string } {
  // What most values are needs no library.
  if (NUMBER.test(text)) return { value: Number(text) };
  const document = loadLibrary().parseDocument(text, { prettyErrors: false, logLevel: 'error' });
  // Some mistakes, such as an unknown tag, are only warnings.
  const [error] = [...document.errors, ...document.warnings];
  return error === undefined ? documentValue(document) : { problem: error.message };
}

/**
 * The value of a document without syntax errors; or, as a text, why it has none: an alias has no anchor, expands to too much, or
 * refers to what contains it.
 */
function documentValue(document: library.Document.Parsed): { readonly value: unknown } | { readonly problem: string } {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // The library throws this for aliases.
    if (error instanceof ReferenceError) return { problem: error.message };
    throw error;
  }
  try {
    JSON.stringify(value);
    return { value };
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'an alias refers to what contains it' };
    throw error;
  }
}

/** Reads a YAML file. @throws UserError if it cannot be read, and as `parseYaml`. */
export async function readYaml(file: string): Promise<YamlFile> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw explainFileError(error, file, 'read');
  });
  return parseYaml(text, file);
}

/** Most findings that an error names. */
const MOST_FINDINGS = 10;

/**
 * Checks a YAML file against a schema and returns the typed value.
 * @throws UserError "file:line: key: what is wrong", of several mistakes a line each.
 */
export function checkYaml<T>(yaml: YamlFile, schema: ZodType<T>): T {
  const checked = check(schema, yaml.value);
  if ('value' in checked) return checked.value;
  const found = checked.findings.map((finding) => ({ line: yaml.lineOf(finding.path), text: formatFinding(finding) }));
  const lines = found.sort((a, b) => a.line - b.line).map(({ line, text }) => `${yaml.file}:${line}: ${text}`);
  if (lines.length === 1) throw new UserError(lines[0]!, 'Fix the file at that line.');
  const more = lines.length - MOST_FINDINGS;
  const shown = more > 0 ? [...lines.slice(0, MOST_FINDINGS), `… and ${more} more.`] : lines;
  throw new UserError(
    `${yaml.file}: ${lines.length} things are wrong.\n${shown.map((line) => `  ✗ ${line}`).join('\n')}`,
    'Fix the file at these lines.',
  );
}
