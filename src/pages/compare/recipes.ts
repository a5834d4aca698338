import { comparedValues } from '../../recipe/backbones.js';
import type { Experiment, Recipe } from '../../recipe/experiment.js';
import { applyOverrides } from '../../recipe/overrides.js';
import { applyProfile, checkRules } from '../../recipe/profiles.js';
import { resolveRow } from '../../recipe/resolve.js';
import { selectRow, selectRows } from '../../recipe/select.js';
import { loadTables, type Row } from '../../recipe/tables.js';
import type { KnownRun, RunCatalogue } from '../../runs/catalogue.js';
import { UserError } from '../../support/errors.js';
import { withoutControls } from '../../support/format.js';
import { nearestAll } from '../../support/suggest.js';
import { terminalTable, wrap } from '../../terminal/layout.js';
import { findRow } from '../runs/figures.js';
import { compareMaps, type Difference } from './compare.js';
import { formatValue } from './format.js';

/** What is changed in both recipes. */
interface CommonChanges {
  /** Default: full; for a run, its own. */
  readonly profile?: string | undefined;
  readonly overrides: readonly string[];
}

/** A recipe and where it is from. */
interface NamedRecipe {
  readonly kind: 'row' | 'run';
  readonly label: string;
  readonly row: string;
  readonly profile: string;
  readonly experiment: Experiment;
}

interface RecipeComparison {
  readonly a: NamedRecipe;
  readonly b: NamedRecipe;
  /** In the order of the recipe. A value is undefined if its recipe has no such key. */
  readonly differences: readonly Difference[];
}

/** An experiment file, or one of its rows: `mine.yaml`, `mine.yaml:ROW`. */
const FILE_REFERENCE = /^(?<file>.*\.ya?ml)(?::(?<row>[^/:]+))?$/;

function ofRow(row: Row, { profile = 'full', overrides }: CommonChanges): NamedRecipe {
  const experiment = resolveRow(row, { profile, overrides });
  const label = `${row.id} (${row.table.name}, ${profile} profile)`;
  return { kind: 'row', label, row: row.id, profile, experiment };
}

function ofRun({ id, experiment }: KnownRun, { profile, overrides }: CommonChanges): NamedRecipe {
  const { row, profile: recorded, seed } = experiment;
  if (profile !== undefined && profile !== recorded && recorded !== 'full') {
    throw new UserError(
      `${row}/${id} is of the ${recorded} profile: its recipe cannot be turned into that of the ${profile} profile.`,
      'Leave out --profile, or name the row instead of the run.',
    );
  }
  const { method, backbone, model, data, training, evaluation, benchmark } = structuredClone(experiment) as Experiment;
  const recipe = { method, backbone, model, data, training, evaluation, benchmark } as Recipe;
  const changed = applyOverrides(profile === undefined ? recipe : applyProfile(recipe, profile), overrides);
  checkRules(changed, `${row}/${id}`);
  const now = { ...experiment, ...changed, profile: profile ?? recorded };
  const label = `${row}/${id} (run, ${now.profile} profile, seed ${seed})`;
  return { kind: 'run', label, row, profile: now.profile, experiment: now };
}

/**
 * The recipe that a reference means: of an experiment file (`FILE.yaml`, or `FILE.yaml:ROW` if it has several rows), a row of the
 * package, or a run.
 * @throws UserError if it means none of them, or several.
 */
async function namedRecipe(reference: string, changes: CommonChanges, catalogue: RunCatalogue): Promise<NamedRecipe> {
  const { file, row } = FILE_REFERENCE.exec(reference)?.groups ?? {};
  if (file !== undefined) return ofRow(rowOfFile(file, row), changes);
  const tables = loadTables();
  const known = findRow(reference, tables);
  if (known !== null) return ofRow(known, changes);
  try {
    return ofRun(await catalogue.findOne(reference), changes);
  } catch (error) {
    const rows = tables.flatMap((table) => table.rows.map(({ id }) => id));
    const meant = nearestAll(reference, rows);
    // ROW/RUN means a run, whatever is wrong with it.
    if (!(error instanceof UserError) || meant.length === 0 || reference.includes('/')) throw error;
    throw new UserError(error.message, `Did you mean the row ${meant[0]}? fcn list shows all rows.`, { cause: error });
  }
}

function rowOfFile(file: string, row: string | undefined): Row {
  const rows = selectRows({ file, all: true });
  if (row !== undefined || rows.length === 1) return selectRow(row, file);
  throw new UserError(
    `${file} has ${rows.length} rows, and one is wanted.`,
    `Name one as ${file}:ROW. They are: ${rows.map(({ id }) => id).join(', ')}.`,
  );
}

/**
 * Compares two recipes without running anything.
 * @param second Default: the row of the first, if the package has it.
 * @throws UserError if one of them cannot be found, or the changes do not fit one of them.
 */
export async function compareRecipes(
  first: string,
  second: string | undefined,
  changes: CommonChanges,
  catalogue: RunCatalogue,
): Promise<RecipeComparison> {
  const a = await namedRecipe(first, changes, catalogue);
  if (second === undefined && (a.kind === 'row' || findRow(a.row, loadTables()) === null)) {
    throw new UserError(
      `There is nothing to compare ${first} with.`,
      'Name a second row, experiment file or run: fcn compare --recipe A B.',
    );
  }
  // A run beside its row: both of one profile, so that only what was changed differs.
  const ofSecond = second === undefined ? { profile: a.profile, overrides: changes.overrides } : changes;
  const b = await namedRecipe(second ?? a.row, ofSecond, catalogue);
  const differences = compareMaps(comparedValues(a.experiment), comparedValues(b.experiment)) ?? [];
  return { a, b, differences };
}

const sectionOf = ({ path }: Difference) => path.split('.')[0]!;

/** A table for each section of the recipe in which something differs. */
export function formatRecipeComparison({ a, b, differences }: RecipeComparison, width: number): string {
  const labels = [`A  ${a.label}`, `B  ${b.label}`].flatMap((label) => wrap(withoutControls(label), width));
  if (differences.length === 0) return [...labels, '', 'The recipes are the same.'].join('\n');
  const tables = [...new Set(differences.map(sectionOf))].map((section) => {
    const body = differences
      .filter((one) => sectionOf(one) === section)
      .map((one) => [one.path.slice(section.length + 1), formatValue(one.a), formatValue(one.b)]);
    return terminalTable({ head: [section, 'A', 'B'], body }, width);
  });
  const count = `${differences.length} ${differences.length === 1 ? 'value differs' : 'values differ'}; – means that the recipe has no such key.`;
  return [labels.join('\n'), ...tables, wrap(count, width).join('\n')].join('\n\n');
}

function describeRecipe({ kind, label, row, profile, experiment }: NamedRecipe): object {
  return { kind, label, row, profile, seed: kind === 'run' ? experiment.seed : null, table: experiment.table };
}

/** A comparison as --json prints it. */
export function describeRecipeComparison({ a, b, differences }: RecipeComparison): object {
  return {
    a: describeRecipe(a),
    b: describeRecipe(b),
    same: differences.length === 0,
    differences: differences.map((one) => ({ section: sectionOf(one), ...one })),
  };
}
