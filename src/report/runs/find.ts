import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Experiment } from '../../experiments/experiment.js';
import { experimentSchema } from '../../experiments/schema.js';
import { inspectRun, type RunState } from '../../runs/inspect.js';
import { LOG_FILE, type LogLine, readLog } from '../../runs/log.js';
import { type Environment, environmentSchema, type RunRecord, readRecord } from '../../runs/record.js';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { nearest } from '../../support/suggest.js';
import { check, formatPath } from '../../support/validate.js';
import { wildcardExpression } from '../../support/wildcard.js';

/** All that is known of a run: from its directory, its record, or both. */
export interface KnownRun {
  readonly id: string;
  readonly experiment: Experiment;
  readonly environment: Environment;
  readonly state: RunState;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Null before the run has ended, or where it ended without writing one. */
  readonly record: RunRecord | null;
  /** The file that the record was read from; of a run without one, its experiment.json. */
  readonly file: string;
  /** Null where only the record was kept. */
  readonly directory: string | null;
  /** Empty where there is none. */
  readonly log: readonly LogLine[];
}

export interface RunFolders {
  readonly results: string;
  readonly runs: string;
}

const statusSchema = z.object({ state: z.enum(['running', 'completed', 'interrupted', 'failed']) });

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw explainFileError(error, folder, 'read');
  }
}

function readChecked<T>(file: string, schema: z.ZodType<T>): T {
  const next = 'Remove the run directory or mend the file.';
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw explainFileError(error, file, 'read');
    throw new UserError(`${file} is not JSON: ${error.message}.`, next, { cause: error });
  }
  const checked = check(schema, value);
  if ('value' in checked) return checked.value;
  throw new UserError(`${file}: ${formatPath(checked.finding.path)}: ${checked.finding.message}.`, next);
}

/** "20250102-030405-…" → 2025-01-02T03:04:05.000Z. */
function startOf(id: string, directory: string): string {
  const match = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)/.exec(id);
  if (match === null) return statSync(directory).birthtime.toISOString();
  const [, year, month, day, hour, minute, second] = match;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
}

function stateOf(directory: string): KnownRun['state'] {
  const file = path.join(directory, 'status.json');
  if (!existsSync(file)) return 'running';
  return readChecked(file, statusSchema).state;
}

function fromDirectory(directory: string): KnownRun {
  const recordFile = path.join(directory, 'record.json');
  const log = readLog(path.join(directory, LOG_FILE));
  if (existsSync(recordFile)) return { ...fromRecord(recordFile), directory, log };
  const id = path.basename(directory);
  const file = path.join(directory, 'experiment.json');
  return {
    id,
    experiment: readChecked(file, experimentSchema),
    environment: readChecked(path.join(directory, 'environment.json'), environmentSchema),
    state: stateOf(directory),
    startedAt: startOf(id, directory),
    record: null,
    file,
    directory,
    log,
  };
}

function fromRecord(file: string): KnownRun {
  const record = readRecord(file);
  const { run: id, experiment, environment, exitReason: state, startedAt } = record;
  return { id, experiment, environment, state, startedAt, record, file, directory: null, log: [] };
}

/**
 * Every run under the run directories and every kept record, each run once, oldest first. Also those that still run.
 * @throws UserError that names a broken file.
 */
export function allRuns({ results, runs }: RunFolders): KnownRun[] {
  const found = new Map<string, KnownRun>();
  const kept = path.join(results, 'records');
  for (const name of entries(kept).filter((name) => name.endsWith('.json'))) {
    const run = fromRecord(path.join(kept, name));
    found.set(`${run.experiment.row} ${run.id}`, run);
  }
  for (const row of entries(runs)) {
    for (const id of entries(path.join(runs, row))) {
      const directory = path.join(runs, row, id);
      if (!entries(directory).includes('experiment.json')) continue;
      const run = fromDirectory(directory);
      found.set(`${run.experiment.row} ${run.id}`, run);
    }
  }
  return [...found.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt) || a.id.localeCompare(b.id));
}

/** The run of a path: a run directory or the file of a record; null where the path is neither. */
function runAtPath(reference: string): KnownRun | null {
  if (!existsSync(reference)) return null;
  if (!statSync(reference).isDirectory()) return fromRecord(reference);
  return existsSync(path.join(reference, 'experiment.json')) ? fromDirectory(path.resolve(reference)) : null;
}

/**
 * The runs that references mean, each once, in their order: a run directory, a record's file, a run's id or its beginning, or a
 * row's id or a pattern of them, which means all of its runs. None: all there are.
 * @throws UserError where one means nothing.
 */
export function findRuns(references: readonly string[], folders: RunFolders): KnownRun[] {
  // Where all are paths, no other run needs to be read.
  const atPaths = references.map(runAtPath).filter((run) => run !== null);
  if (references.length > 0 && atPaths.length === references.length) return unique(atPaths);
  const known = allRuns(folders);
  if (references.length === 0) {
    if (known.length > 0) return known;
    throw new UserError(
      `There are no runs under ${folders.runs} and no records under ${path.join(folders.results, 'records')}.`,
      'Make one with fcn reproduce, or say where they are with --runs and --results.',
    );
  }
  return unique(references.flatMap((reference) => matching(reference, known, folders)));
}

function matching(reference: string, known: readonly KnownRun[], { runs, results }: RunFolders): KnownRun[] {
  const atPath = runAtPath(reference);
  if (atPath !== null) return [atPath];
  const expression = wildcardExpression(reference);
  const found = known.filter(({ id, experiment }) => id.startsWith(reference) || expression.test(experiment.row));
  if (found.length > 0) return found;
  const meant = nearest(reference, [...known.map(({ id }) => id), ...known.map(({ experiment }) => experiment.row)]);
  throw new UserError(
    existsSync(reference)
      ? `${reference} is no run directory (it holds no experiment.json), and no run under ${runs} and ${results} is called so.`
      : `No run is called ${reference} under ${runs} and ${results}.`,
    meant === undefined
      ? 'Give the id of a run or a row, a run directory, or the file of a record.'
      : `Did you mean ${meant}?`,
  );
}

function unique(found: readonly KnownRun[]): KnownRun[] {
  return [...new Map(found.map((run) => [`${run.experiment.row} ${run.id}`, run])).values()];
}

/** The same run, with what became of it where it left no record: whether its process is still there. */
export async function standing(run: KnownRun): Promise<KnownRun> {
  if (run.record !== null || run.directory === null) return run;
  return { ...run, state: (await inspectRun(run.directory)).state };
}
