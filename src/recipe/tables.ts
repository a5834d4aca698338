import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { packageRoot } from '../support/package.js';
import { alternatives, nearestAll } from '../support/suggest.js';
import { check, checkYaml, formatFinding, formatPath, parseYaml, type YamlFile } from '../support/yaml.js';
import { DERIVED_KEYS, withDefaults } from './defaults.js';
import {
  baseFileSchema,
  isSection,
  type PartialRecipe,
  type PublishedFigures,
  type Recipe,
  type RecipeSection,
  recipeSchema,
  type TableFile,
  tableFileSchema,
} from './experiment.js';
import { locateFiles } from './named-files.js';

/** A line of a results table with its recipe as published. */
export interface Row {
  readonly id: string;
  readonly table: Table;
  readonly recipe: Recipe;
  readonly published: PublishedFigures;
  readonly weights: string | null;
  readonly log: string | null;
}

export interface Table {
  readonly name: string;
  /** The file's name without its extension, which can be typed instead of the name. */
  readonly id: string;
  readonly file: string;
  /** Place among the published tables; infinity (last) if the file gives none. */
  readonly position: number;
  /** In points of mIoU; null if the table publishes no figures. */
  readonly tolerance: { readonly mIoU: number; readonly mIoUMsFlip: number; readonly reason: string } | null;
  /** Hardware of the published memory and fps; null if the table does not say. `tolerance` is a share. */
  readonly hardware: { readonly name: string; readonly tolerance: number; readonly reason: string } | null;
  readonly rows: readonly Row[];
}

/** Name of tables whose rows have no published figures. They come last. */
export const LOCAL_TABLE = 'Local';

const BASE_FILE = 'base.yaml';
/** Links to backbones: no table. */
export const BACKBONES_FILE = 'backbones.yaml';

const WEB_ADDRESS = /^https?:\/\//;

export function experimentsFolder(): string {
  return path.join(packageRoot(), 'experiments');
}

/** The last text of each file with what it says: a command reads the package's tables several times, and to parse them is slow. */
const parsedFiles = new Map<string, { readonly text: string; readonly yaml: YamlFile }>();

function readYamlSync(file: string): YamlFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  const before = parsedFiles.get(file);
  if (before?.text === text) return before.yaml;
  const yaml = parseYaml(text, file);
  parsedFiles.set(file, { text, yaml });
  return yaml;
}

/** Merges sections key by key. Of anything else, arrays included, the later one counts. */
function merge(earlier: unknown, later: unknown): unknown {
  if (later === undefined) return earlier;
  if (!isSection(earlier) || !isSection(later)) return later;
  const merged: Record<string, unknown> = { ...earlier };
  for (const [key, value] of Object.entries(later)) merged[key] = merge(merged[key], value);
  return merged;
}

function rowRecipe(
  file: string,
  row: TableFile['rows'][number],
  shared: readonly (PartialRecipe | undefined)[],
  parts: Readonly<Record<string, PartialRecipe>>,
): Recipe {
  const chosen = (row.parts ?? []).map((name) => {
    if (Object.hasOwn(parts, name)) return parts[name];
    const meant = nearestAll(name, Object.keys(parts));
    throw new UserError(
      `${file}: row ${row.id}: unknown part ${name}; ${meant.length === 0 ? `there are: ${Object.keys(parts).join(', ')}.` : `did you mean ${alternatives(meant)}?`}`,
      `Correct the row's parts in ${file}.`,
    );
  });
  const merged = [...shared, ...chosen, row.recipe].reduce(merge, {}) as RecipeSection;
  const checked = check(recipeSchema, withDefaults(merged), DERIVED_KEYS);
  if ('value' in checked) return locateFiles(checked.value, path.dirname(file));
  throw new UserError(
    `${file}: row ${row.id}: ${formatFinding(checked.finding)}`,
    `Complete the recipe in ${file}. A part such as R-18-D8 gives a row its backbone; docs/keys.md has all keys.`,
  );
}

type Base = z.output<typeof baseFileSchema>;

const readBase = (): Base => checkYaml(readYamlSync(path.join(experimentsFolder(), BASE_FILE)), baseFileSchema);

/** What the recipes of all tables share: the defaults of a table's file. */
export function recipeDefaults(): PartialRecipe {
  return readBase().recipe;
}

/**
 * Address of a row's published weights or log: as given, or under the file's `downloads`; null if none is given.
 * @throws UserError if it is not a web address: a local file is not a published one.
 */
function addressOf(
  yaml: YamlFile,
  { rows, downloads }: TableFile,
  index: number,
  key: 'weights' | 'log',
): string | null {
  const { id, [key]: given } = rows[index]!;
  if (given === undefined) return null;
  const address = WEB_ADDRESS.test(given) || downloads === undefined ? given : `${downloads}/${id}/${given}`;
  if (WEB_ADDRESS.test(address) && URL.canParse(address)) return address;
  const where = formatPath(['rows', index, key]);
  throw new UserError(
    `${yaml.file}:${yaml.lineOf(['rows', index, key])}: ${where}: expected a web address, or the name of a file under the address in downloads, got ${JSON.stringify(given)}.`,
    key === 'weights'
      ? 'Leave it out if nothing is published. Give weights of your own to a command, with --weights FILE.'
      : 'Leave it out if nothing is published. Give a log of your own to fcn compare.',
  );
}

/**
 * Reads a table's file.
 * @param base What the recipes of all tables share.
 * @throws UserError with file and line, or file and row, of a mistake.
 */
export function loadTable(file: string, base: Base = readBase()): Table {
  const yaml = readYamlSync(file);
  const content = checkYaml(yaml, tableFileSchema);
  const parts = { ...base.parts, ...content.parts };
  const rows: Row[] = [];
  const table: Table = {
    name: content.table ?? LOCAL_TABLE,
    id: path.basename(file).replace(/\.ya?ml$/, ''),
    file,
    position: content.position ?? Number.POSITIVE_INFINITY,
    tolerance: content.tolerance === undefined ? null : { reason: path.basename(file), ...content.tolerance },
    hardware: content.hardware ?? null,
    rows,
  };
  for (const [index, row] of content.rows.entries()) {
    if (rows.some(({ id }) => id === row.id)) {
      throw new UserError(`${file}: two rows are called ${row.id}.`, `Remove or rename one of them in ${file}.`);
    }
    const address = (key: 'weights' | 'log') => addressOf(yaml, content, index, key);
    rows.push({
      id: row.id,
      table,
      recipe: rowRecipe(file, row, [base.recipe, content.recipe], parts),
      published: { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null, ...row.published },
      weights: address('weights'),
      log: address('log'),
    });
  }
  return table;
}

/**
 * The data root that a table's file names, resolved relative to the file; undefined if it names none.
 * @throws UserError like `loadTable`.
 */
export function dataRootOf(file: string): string | undefined {
  const { dataRoot } = checkYaml(readYamlSync(file), tableFileSchema);
  return dataRoot === undefined ? undefined : path.resolve(path.dirname(file), dataRoot);
}

/** The tables of the package by position, then by file name; local rows last. */
export function loadTables(): Table[] {
  const folder = experimentsFolder();
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.yaml') && name !== BASE_FILE && name !== BACKBONES_FILE)
    .sort();
  const base = readBase();
  const tables = files.map((name) => loadTable(path.join(folder, name), base));
  // The difference of two infinite positions is NaN: such tables stay sorted by name.
  const published = tables.filter(({ name }) => name !== LOCAL_TABLE).sort((a, b) => a.position - b.position || 0);
  return [...published, ...tables.filter(({ name }) => name === LOCAL_TABLE)];
}
