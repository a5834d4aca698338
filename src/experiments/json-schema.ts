import { z } from 'zod';
import { baseFileSchema, tableFileSchema } from './schema.js';

/** Kinds of experiment files. `table`: one's own and the package's tables; `base`: what the package's tables share. */
export const EXPERIMENT_FILES = ['table', 'base'] as const;
export type ExperimentFile = (typeof EXPERIMENT_FILES)[number];

/** JSON Schema (draft 7, which editors' YAML services know best) of an experiment file. */
export function experimentJsonSchema(kind: ExperimentFile): object {
  const title = kind === 'table' ? 'fcn: a table of experiments' : 'fcn: what all tables share';
  const { $schema, ...schema } = z.toJSONSchema(kind === 'table' ? tableFileSchema : baseFileSchema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => {
      // What zod says of every whole number, and of every key of a map: nothing that helps to write a file.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.propertyNames;
    },
  });
  return { $schema, title, ...schema };
}
