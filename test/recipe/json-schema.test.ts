import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { EXPERIMENT_FILES, experimentJsonSchema } from '../../src/recipe/experiment.js';
import { packageRoot } from '../../src/support/package.js';

const folder = path.join(packageRoot(), 'experiments');
const FILES = { table: 'schema.json', base: 'base.schema.json', backbones: 'backbones.schema.json' } as const;
const KINDS: Readonly<Record<string, keyof typeof FILES>> = { 'base.yaml': 'base', 'backbones.yaml': 'backbones' };

test('the schemas beside the experiment files are those of this version', (t) => {
  for (const kind of EXPERIMENT_FILES) {
    const written = readFileSync(path.join(folder, FILES[kind]), 'utf8');
    t.is(written, `${JSON.stringify(experimentJsonSchema(kind), null, 2)}\n`, 'npm run build writes them');
  }
});

test('every experiment file names its schema', (t) => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.yaml'))) {
    const [first] = readFileSync(path.join(folder, name), 'utf8').split('\n');
    t.is(first, `# yaml-language-server: $schema=./${FILES[KINDS[name] ?? 'table']}`);
  }
});

test('editors are told of unknown keys, kinds and ranges', (t) => {
  const schema = experimentJsonSchema('table');
  t.like(schema, {
    required: ['table', 'rows'],
    additionalProperties: false,
    definitions: {
      recipe: {
        additionalProperties: false,
        properties: {
          training: { properties: { momentum: { type: 'number', minimum: 0, exclusiveMaximum: 1 } } },
          model: { properties: { stem: { enum: ['deep', '7x7'] } } },
        },
      },
    },
  });
});
