import { readFile } from 'node:fs/promises';
import type { ZodType } from 'zod';
import { UserError } from './errors.js';
import { explainFileError } from './files.js';

/** Where in a document a value is: keys and indices from the root. */
export type YamlPath = readonly PropertyKey[];

/** A parsed YAML file that still knows its lines. */
export interface YamlFile {
  readonly file: string;
  readonly value: unknown;
  /** The line (from 1) of the value at a path, or of the nearest existing value that holds it. */
  lineOf(path: YamlPath): number;
}

/**
 * Reads a YAML file.
 * @throws UserError that names file and line where it is no valid YAML (a key given twice included).
 */
export async function readYaml(file: string): Promise<YamlFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  const { LineCounter, isNode, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error) {
    throw new UserError(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`, 'Mend the YAML at that line.');
  }
  return {
    file,
    value: document.toJS(),
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const node = document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return 1;
    },
  };
}

/**
 * Checks a YAML file against a schema and returns the typed value.
 * @throws UserError with one "file:line: key: what is wrong" for the first mistake, and how many more there are.
 */
export function checkYaml<T>(yaml: YamlFile, schema: ZodType<T>): T {
  const result = schema.safeParse(yaml.value);
  if (result.success) return result.data;
  const [first, ...others] = result.error.issues;
  // An unknown key is reported at the object that holds it; its own line is more use.
  const path = first!.code === 'unrecognized_keys' ? [...first!.path, first!.keys[0]!] : first!.path;
  const key = path.length > 0 ? `${path.map(String).join('.')}: ` : '';
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  throw new UserError(
    `${yaml.file}:${yaml.lineOf(path)}: ${key}${first!.message}${more}`,
    'Mend the file at that line.',
  );
}
