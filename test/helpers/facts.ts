import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

/** Published facts that are kept in test/facts: `rows` of the tables, `datasets` of their data. */
export function readFacts<Facts>(name: 'rows' | 'datasets'): Facts {
  const file = path.join(packageRoot(), 'test', 'facts', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Facts;
}
