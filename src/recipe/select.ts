import { UserError } from '../support/errors.js';
import { shellWords } from '../support/format.js';
import { alternatives, nearest, nearestAll, wildcardExpression } from '../support/suggest.js';
import { LOCAL_TABLE, loadTable, loadTables, type Row, type Table } from './tables.js';

/** Selects the rows that match any of the patterns and are in the table, as far as these are given. */
export interface Selection {
  /** Ids of rows, or patterns with `*` (any text), `?` (any character) and `{a,b}` (one of these). */
  readonly patterns?: readonly string[];
  /** A table's name, or its file's name without the extension; case does not matter. */
  readonly table?: string | undefined;
  /** Every published row; with a file, every row of it. */
  readonly all?: boolean | undefined;
  /** Patterns match only published rows. */
  readonly published?: boolean | undefined;
  /** Files of tables, instead of those of the package. */
  readonly file?: string | readonly string[] | undefined;
}

/**
 * The tables in these files, or the package's.
 * @throws UserError for a mistake in a file, or two rows of the same name: records could belong to either.
 */
export function tablesOf(file: string | readonly string[] | undefined): Table[] {
  if (file === undefined) return loadTables();
  const tables = [...new Set([file].flat())].map((one) => loadTable(one));
  const owners = new Map<string, string>();
  for (const { id, table } of tables.flatMap(({ rows }) => rows)) {
    const owner = owners.get(id) ?? table.file;
    owners.set(id, owner);
    if (owner !== table.file) {
      throw new UserError(
        `The row ${id} is in ${owner} and in ${table.file}.`,
        'Rename one of them, or give only one of the files.',
      );
    }
  }
  return tables;
}

/** Finds a table by name or id. @throws UserError that names the most similar one if there is none. */
export function findTable(tables: readonly Table[], typed: string): Table {
  const wanted = typed.toLowerCase();
  const found = tables.find(({ name, id }) => name.toLowerCase() === wanted || id.toLowerCase() === wanted);
  if (found !== undefined) return found;
  const meant = nearest(
    typed,
    tables.flatMap(({ name, id }) => [name, id]),
  );
  throw new UserError(
    `Unknown table: ${typed}.`,
    meant === undefined ? `The tables are: ${tables.map(({ name }) => name).join(', ')}.` : `Did you mean ${meant}?`,
  );
}

const WILDCARD = /[*?{]/;

/** Rows that contain most of a pattern's literal pieces; at most three. */
function similarRows(pattern: string, rows: readonly Row[]): string[] {
  const pieces = pattern.split(/[*?{},]+/).filter((piece) => piece !== '');
  const scored = rows
    .map(({ id }) => ({ id, score: pieces.filter((piece) => id.includes(piece)).length }))
    .filter(({ score }) => score > 0);
  const best = Math.max(0, ...scored.map(({ score }) => score));
  return scored
    .filter(({ score }) => score === best)
    .slice(0, 3)
    .map(({ id }) => id);
}

/** The most rows that a hint names. */
const MOST_NAMED = 3;

/** Names the rows that were most likely meant; if many contain what was typed, only the pattern for them. Empty if none is near. */
function rowHint(typed: string, rows: readonly Row[]): string {
  const ids = rows.map(({ id }) => id);
  const containing = typed === '' ? [] : ids.filter((id) => id.includes(typed));
  if (containing.length > MOST_NAMED) {
    return `${containing.length} rows have it in their names: ${shellWords([`*${typed}*`])} means them all. `;
  }
  const meant = containing.length > 0 ? containing : nearestAll(typed, ids);
  return meant.length === 0 ? '' : `Did you mean ${alternatives(meant)}? `;
}

/** A row that is in no known file. */
export class UnknownRow extends UserError {
  constructor(
    message: string,
    next: string,
    readonly row: string,
  ) {
    super(message, next);
  }
}

function noMatch(pattern: string, rows: readonly Row[], where: string, isFileGiven: boolean): UserError {
  const all = 'fcn list shows all rows.';
  if (/\.ya?ml$/.test(pattern)) {
    return new UserError(`${pattern} is a file, not a row.`, `Give it with --file ${shellWords([pattern])}.`);
  }
  if (WILDCARD.test(pattern)) {
    const near = similarRows(pattern, rows);
    return new UserError(
      `No row matches ${pattern}${where}.`,
      near.length === 0 ? all : `Similar rows: ${near.join(', ')}. ${all}`,
    );
  }
  const hint = rowHint(pattern, rows);
  const own = isFileGiven || hint !== '' ? '' : ' A row of your own is in its experiment file: add --file FILE.yaml.';
  return new UnknownRow(`Unknown row: ${pattern}${where}.`, `${hint}${all}${own}`, pattern);
}

/** Most rows that a message names. */
const MOST_NAMES = 10;

function severalRows(files: string, rows: readonly Row[], advice: string): UserError {
  const more = rows.length > MOST_NAMES ? `, … (fcn list --file ${files} shows all)` : '';
  const names = rows.slice(0, MOST_NAMES).map(({ id }) => id);
  return new UserError(`${files} has ${rows.length} rows and none was given.`, `${advice}${names.join(', ')}${more}.`);
}

function isPublished({ table }: Row): boolean {
  return table.name !== LOCAL_TABLE;
}

/**
 * The selected rows, each once, in the order of the patterns, then of the tables. If nothing is selected, a file's only row.
 * @throws UserError that names similar ones if a pattern or the table matches nothing, or if nothing is selected.
 */
export function selectRows({ patterns = [], table, all = false, published = false, file }: Selection): Row[] {
  const tables = table === undefined ? tablesOf(file) : [findTable(tablesOf(file), table)];
  const rows = tables.flatMap((one) => one.rows).filter((row) => !published || isPublished(row));
  const files = [file ?? []].flat().join(', ');
  if (patterns.length > 0) {
    if (all) throw new UserError('Rows cannot be combined with --all.', 'Leave out the rows or --all.');
    const inTable = table === undefined ? '' : ` in the table ${tables[0]!.name}`;
    const where = `${published ? ' among the published ones' : ''}${inTable}${file === undefined ? '' : ` in ${files}`}`;
    const chosen = patterns.flatMap((pattern) => {
      const expression = wildcardExpression(pattern);
      const matching = rows.filter(({ id }) => expression.test(id));
      if (matching.length === 0) throw noMatch(pattern, rows, where, file !== undefined);
      return matching;
    });
    return [...new Set(chosen)];
  }
  if (table !== undefined) return rows;
  if (all) return file === undefined ? rows.filter(isPublished) : rows;
  if (file !== undefined && rows.length === 1) return rows;
  if (file === undefined) throw new UserError('No row was given.', 'Give one of the rows that fcn list shows.');
  throw severalRows(files, rows, 'Name the wanted ones, or take all with --all: ');
}

/**
 * The only row that an id or a pattern matches; without either, a file's only row.
 * @throws UserError if it matches none or several.
 */
export function selectRow(pattern: string | undefined, file?: string): Row {
  if (pattern === undefined && file !== undefined) {
    const { rows } = loadTable(file);
    if (rows.length === 1) return rows[0]!;
    throw severalRows(file, rows, 'Name one of: ');
  }
  const rows = selectRows({ patterns: pattern === undefined ? [] : [pattern], file });
  if (rows.length === 1) return rows[0]!;
  throw new UserError(
    `${pattern} matches ${rows.length} rows, expected one.`,
    `Give one of: ${rows.map(({ id }) => id).join(', ')}.`,
  );
}
