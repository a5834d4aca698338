// Writes the JSON Schemas in experiments/ and datasets/, which editors use, and docs/keys.md. Run after each compilation.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { datasetJsonSchema } from '../dist/src/data/description.js';
import { clusterJsonSchema } from '../dist/src/jobs/cluster-options.js';
import { keysPage } from '../dist/src/pages/keys.js';
import { experimentJsonSchema } from '../dist/src/recipe/experiment.js';
import { writeFileAtomic } from '../dist/src/support/files.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
for (const [kind, name] of [
  ['table', 'schema.json'],
  ['base', 'base.schema.json'],
  ['backbones', 'backbones.schema.json'],
]) {
  const file = path.join(root, 'experiments', name);
  await writeFileAtomic(file, `${JSON.stringify(experimentJsonSchema(kind), null, 2)}\n`);
}
await writeFileAtomic(path.join(root, 'datasets', 'schema.json'), `${JSON.stringify(datasetJsonSchema(), null, 2)}\n`);
await writeFileAtomic(
  path.join(root, 'experiments', 'clusters', 'schema.json'),
  `${JSON.stringify(clusterJsonSchema(), null, 2)}\n`,
);
await writeFileAtomic(path.join(root, 'docs', 'keys.md'), keysPage());
