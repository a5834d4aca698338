import { type ZodType, z } from 'zod';

/** JSON Schema (draft 7, which editors support best) of what a file may hold. */
export function fileJsonSchema(schema: ZodType, title: string): object {
  const { $schema, ...described } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => {
      // zod writes these for every integer and for every map; they do not help to write a file.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.propertyNames;
    },
  });
  return { $schema, title, ...described };
}
