// Writes what the package's YAML files say to dist/src/support/parsed-yaml.json, so that commands need not parse them. Run after each
// compilation. A file that is changed later, or has a mistake, is parsed when it is read.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { writeFileAtomic } from '../dist/src/support/files.js';
import { textKey } from '../dist/src/support/parsed-yaml.js';
import { root } from './setup.mjs';

const values = {};
for (const folder of ['datasets', 'experiments']) {
  for (const name of readdirSync(path.join(root, folder), { recursive: true })) {
    if (!name.endsWith('.yaml')) continue;
    const text = readFileSync(path.join(root, folder, name), 'utf8');
    const document = parseDocument(text, { logLevel: 'error' });
    if (document.errors.length + document.warnings.length > 0) continue;
    const value = document.toJS();
    values[textKey(text)] = JSON.stringify(value);
    assert.deepEqual(JSON.parse(values[textKey(text)]), value, `${folder}/${name} has a value that JSON has not`);
  }
}
await writeFileAtomic(
  path.join(root, 'dist', 'src', 'support', 'parsed-yaml.json'),
  `${JSON.stringify(values, null, 2)}\n`,
);
