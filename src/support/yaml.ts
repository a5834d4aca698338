import { readFile } from 'node:fs/promises';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import type { ZodType } from 'zod';
import { UserError } from './errors.js';
import { explainFileError } from './files.js';
import { check, formatFinding, type ValuePath } from './validate.js';

/** A parsed YAML file that still knows its lines. */
export interface YamlFile {
  readonly file: string;
  readonly value: unknown;
  /** The line (from 1) of the key or item at a path, or of the nearest existing value that holds it. */
  lineOf(path: ValuePath): number;
}

/**
 * Parses the text of a YAML file.
 * @throws UserError that names file and line where it is no valid YAML (a key given twice included).
 */
export function parseYaml(text: string, file: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  // A tag that is not known, say, is a warning only.
  const [error] = [...document.errors, ...document.warnings];
  if (error) {
    throw new UserError(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`, 'Mend the YAML at that line.');
  }
  const said = documentValue(document);
  if ('problem' in said) throw new UserError(`${file}: ${said.problem}.`, 'Write the values in the places of aliases.');
  return {
    file,
    value: said.value,
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

/**
 * What a document without errors says; or, as a text, why it says nothing: an alias that stands for nothing, for too much, or
 * for what it is in.
 */
export function documentValue(document: Document.Parsed): { readonly value: unknown } | { readonly problem: string } {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // The library's, for aliases.
    if (error instanceof ReferenceError) return { problem: error.message };
    throw error;
  }
  try {
    JSON.stringify(value);
    return { value };
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'an alias stands for what it is in' };
    throw error;
  }
}

/** Reads a YAML file; see {@link parseYaml}. */
export async function readYaml(file: string): Promise<YamlFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  return parseYaml(text, file);
}

/**
 * Checks a YAML file against a schema and returns the typed value.
 * @throws UserError with one "file:line: key: what is wrong" for the first mistake.
 */
export function checkYaml<T>(yaml: YamlFile, schema: ZodType<T>): T {
  const checked = check(schema, yaml.value);
  if ('value' in checked) return checked.value;
  const { finding } = checked;
  throw new UserError(
    `${yaml.file}:${yaml.lineOf(finding.path)}: ${formatFinding(finding)}`,
    'Mend the file at that line.',
  );
}
