import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * What the package's own YAML files say, from the build (scripts/parsed-yaml.mjs). To load the library and parse the tables takes a
 * command 130 ms of processor time. Values are found by the file's text, so they are never those of another version of it.
 */

const FILE = new URL('./parsed-yaml.json', import.meta.url);

let built: ReadonlyMap<string, string> | null = null;

/** The key of a text: its SHA-256, in hexadecimal. */
export function textKey(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Values as JSON texts by the key of the YAML text. Empty while the build makes it. */
function builtValues(): ReadonlyMap<string, string> {
  if (built !== null) return built;
  let text = '{}';
  try {
    text = readFileSync(FILE, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  built = new Map(Object.entries(JSON.parse(text) as Record<string, string>));
  return built;
}

/** The value of a YAML text of the package, new each time; undefined for any other text. */
export function builtValue(text: string): unknown {
  const value = builtValues().get(textKey(text));
  return value === undefined ? undefined : JSON.parse(value);
}
