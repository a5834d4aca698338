// Writes the JSON Schemas in experiments/, which editors use. Run after each compilation.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { experimentJsonSchema } from '../dist/src/recipe/experiment.js';
import { writeFileAtomic } from '../dist/src/support/files.js';

const folder = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'experiments');
for (const [kind, name] of [
  ['table', 'schema.json'],
  ['base', 'base.schema.json'],
  ['backbones', 'backbones.schema.json'],
]) {
  await writeFileAtomic(path.join(folder, name), `${JSON.stringify(experimentJsonSchema(kind), null, 2)}\n`);
}
