import { type core, z } from 'zod';
import { endSentence } from './format.js';
import { alternatives, nearestAll } from './suggest.js';

/** Where a value lies inside a document: keys and indices from the top. */
export type ValuePath = readonly PropertyKey[];

/** What is wrong with a value, and where. */
export interface Finding {
  readonly path: ValuePath;
  readonly message: string;
}

/** A path as people write it: `rows[3].published.mIoU`. */
export function formatPath(path: ValuePath): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`)).join('');
}

/** "training.batch: expected a whole number.", a whole sentence; of the document as a whole, only what is wrong. */
export function formatFinding({ path, message }: Finding): string {
  return endSentence(path.length === 0 ? message : `${formatPath(path)}: ${message}`);
}

function unwrap(schema: core.$ZodType): core.$ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ? unwrap(schema.unwrap()) : schema;
}

/** The schema of the value at a path; undefined where the schema knows no such value. */
export function schemaAt(schema: core.$ZodType, path: ValuePath): core.$ZodType | undefined {
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

/** What zod calls a kind of value, in the words of somebody who writes a file. */
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

/** Bounds of a number and of the length of a list or text, which zod writes as signs. */
const BOUNDS: Readonly<Record<string, { readonly be: string; readonly have: string }>> = {
  '>=': { be: 'of at least', have: 'with at least' },
  '>': { be: 'above', have: 'with more than' },
  '<=': { be: 'of at most', have: 'with at most' },
  '<': { be: 'below', have: 'with less than' },
};

/** "Invalid input: expected int, received string" → "expected a whole number". */
function sentence(message: string): string {
  const body = message.replace(/^(Invalid input|Invalid option|Too small|Too big): /, '').replace(/, received .*$/, '');
  const worded = body.replace(/^expected (\w+)/, (whole, kind: string) =>
    kind in KINDS ? `expected ${KINDS[kind]}` : whole,
  );
  return (worded.charAt(0).toLowerCase() + worded.slice(1))
    .replace(/ to (be|have) ([<>]=?)/, (_, verb: 'be' | 'have', sign: string) => ` ${BOUNDS[sign]![verb]} `)
    .replace(/\b1 (item|character)s\b/, '1 $1')
    .replace(' to be ', ' ');
}

function explain(schema: core.$ZodType, value: unknown, issue: core.$ZodIssue): Finding {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const inner = schemaAt(schema, issue.path);
    const object = inner === undefined ? undefined : unwrap(inner);
    const known = object instanceof z.ZodObject ? Object.keys(object.shape) : [];
    const meant = nearestAll(key, known);
    const hint = meant.length === 0 ? `known keys: ${known.join(', ')}` : `did you mean ${alternatives(meant)}?`;
    return { path: [...issue.path, key], message: `unknown key; ${hint}` };
  }
  const found = valueAt(value, issue.path);
  if (found === undefined) return { path: issue.path, message: 'is missing' };
  return {
    path: issue.path,
    message: `${sentence(issue.message)}, got ${typeof found === 'number' ? found : JSON.stringify(found)}`,
  };
}

/** Checks a value; returns it typed, or the first thing that is wrong with it. */
export function check<T>(schema: z.ZodType<T>, value: unknown): { readonly value: T } | { readonly finding: Finding } {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  // A misspelt key is also a missing one: the misspelling says more.
  const { issues } = parsed.error;
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  return { finding: explain(schema, value, issue) };
}
