import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

/** A file of the published facts that are kept in test/facts. */
export function factsFile(...parts: string[]): string {
  return path.join(packageRoot(), 'test', 'facts', ...parts);
}

/** Published facts that are kept in test/facts: `rows` of the tables, `datasets` of their data. */
export function readFacts<Facts>(name: 'rows' | 'datasets'): Facts {
  return JSON.parse(readFileSync(factsFile(`${name}.json`), 'utf8')) as Facts;
}
