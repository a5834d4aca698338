import { datasetJsonSchema } from '../data/description.js';
import { DEFAULTS } from '../recipe/defaults.js';
import { experimentJsonSchema, isSection, type RecipeSection } from '../recipe/experiment.js';
import { recipeDefaults } from '../recipe/tables.js';

/** The parts of a JSON Schema that the list of keys reads. */
interface KeySchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly allOf?: readonly KeySchema[];
  readonly anyOf?: readonly KeySchema[];
  readonly items?: KeySchema | readonly KeySchema[];
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly additionalProperties?: KeySchema | boolean;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

interface FileSchema extends KeySchema {
  readonly definitions?: Readonly<Record<string, KeySchema>>;
}

/** A key of a file. */
interface Key {
  /** As in messages: `splits.NAME[].images`. */
  readonly path: string;
  readonly schema: KeySchema;
  readonly isRequired: boolean;
}

/** Every key of a file, with those inside of it after it. Sections that `definitions` describes are not entered. */
function keysOf(schema: KeySchema, prefix = ''): Key[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const path = `${prefix}${name}`;
    return [{ path, schema: inner, isRequired: required.has(name) }, ...insideOf(inner, path)];
  });
}

function insideOf({ properties, items, additionalProperties, ...schema }: KeySchema, path: string): Key[] {
  if (properties !== undefined) return keysOf({ ...schema, properties }, `${path}.`);
  if (typeof additionalProperties === 'object') return insideOf(additionalProperties, `${path}.NAME`);
  if (items !== undefined && !Array.isArray(items)) return insideOf(items as KeySchema, `${path}[]`);
  return [];
}

/** What a value may be, in words: "whole number, at least 1". */
function kindOf(schema: KeySchema): string {
  const { type, anyOf, items, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (schema.allOf !== undefined) return schema.allOf.map(kindOf).join(', ');
  if (schema.$ref !== undefined) return 'section, as below';
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (anyOf !== undefined) return anyOf.map(kindOf).join(', or ');
  if (type === 'null') return '`null`';
  if (type === 'boolean') return '`true` or `false`';
  if (type === 'string') return 'text';
  if (type === 'object') return 'section';
  if (type === 'array' && Array.isArray(items)) return `list of ${items.length} numbers`;
  if (type === 'array') return `list: ${kindOf(items as KeySchema)}`;
  const bounds = [
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(minimum === undefined ? [] : [`at least ${minimum}`]),
    ...(exclusiveMaximum === undefined ? [] : [`below ${exclusiveMaximum}`]),
    ...(maximum === undefined ? [] : [`at most ${maximum}`]),
  ];
  return [type === 'integer' ? 'whole number' : 'number', ...bounds].join(', ');
}

function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (isSection(inner) ? inner[key] : undefined), value);
}

type DefaultOf = (key: Key) => string;

/** The default of a value in a recipe: that in base.yaml, or one that follows from other values. */
function recipeDefault(base: RecipeSection): DefaultOf {
  return ({ path }) => {
    const shared = valueAt(base, path);
    if (shared !== undefined && !isSection(shared)) return `\`${JSON.stringify(shared)}\``;
    return DEFAULTS.find(({ key }) => key === path)?.words ?? (isSection(shared) ? '' : 'required');
  };
}

const fileDefault: DefaultOf = ({ schema, isRequired }) => {
  if (schema.default !== undefined) return `\`${JSON.stringify(schema.default)}\``;
  return isRequired ? 'required' : 'left out';
};

function table(keys: readonly Key[], defaultOf: DefaultOf): string {
  const cells = keys.map((key) => [
    `\`${key.path}\``,
    kindOf(key.schema),
    defaultOf(key),
    key.schema.description ?? '',
  ]);
  return [['key', 'value', 'default', 'meaning'], ['---', '---', '---', '---'], ...cells]
    .map((line) => `| ${line.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

/** The page of all keys of an experiment file and of a data set's file, as Markdown. */
export function keysPage(): string {
  const file = experimentJsonSchema('table') as FileSchema;
  const { recipe } = file.definitions ?? {};
  return [
    '# All keys',
    [
      '`npm run build` writes this page from the schemas that check the files: change it there. [Your data](your-data.md) shows the',
      'files in use; `fcn schema` and `fcn schema dataset` print the same for editors.',
    ].join('\n'),
    '## An experiment file',
    table(keysOf(file), fileDefault),
    '## Its recipe',
    [
      'The recipe of a row is merged from `experiments/base.yaml`, the `recipe` of the file, the `parts` of the row in order, and the',
      '`recipe` of the row; later values replace earlier ones. A part such as `R-18-D8` gives method, backbone and network. Sizes are',
      '[height, width] in keys that end in `Hw`, and [width, height] in keys that end in `Wh`, in pixels.',
    ].join('\n'),
    table(keysOf(recipe ?? {}), recipeDefault(recipeDefaults())),
    "## A data set's file",
    table(keysOf(datasetJsonSchema() as FileSchema), fileDefault),
  ]
    .join('\n\n')
    .concat('\n');
}
