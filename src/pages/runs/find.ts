import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Experiment } from '../../recipe/experiment.js';
import { experimentSchema } from '../../recipe/schema.js';
import { loadTables } from '../../recipe/tables.js';
import { entries, type FoundRecord, findRecords, type OnBroken, orBroken } from '../../records/find.js';
import { type Environment, environmentSchema, type RunRecord, readRecord } from '../../records/record.js';
import type { RunState } from '../../runs/directory.js';
import { inspectRun } from '../../runs/inspect.js';
import { LOG_FILE, type LogLine, readLog, type ValidationLine } from '../../runs/log.js';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { nearest, wildcardExpression } from '../../support/suggest.js';
import { check, formatFinding } from '../../support/yaml.js';

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
  /** Evaluations while training went on. */
  readonly validation: readonly ValidationLine[];
}

export interface RunFolders {
  readonly results: string;
  readonly runs: string;
}

const statusSchema = z.object({ state: z.enum(['running', 'completed', 'interrupted', 'failed']) });

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
  throw new UserError(`${file}: ${formatFinding(checked.finding)}`, next);
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

/** @param directory Null: there is no log. */
function logOf(directory: string | null): Pick<KnownRun, 'log' | 'validation'> {
  if (directory === null) return { log: [], validation: [] };
  const { train: log, validation } = readLog(path.join(directory, LOG_FILE));
  return { log, validation };
}

/** A run whose directory holds no record yet. @throws UserError that names a broken file. */
function fromDirectory(directory: string): KnownRun {
  const file = path.join(directory, 'experiment.json');
  const id = path.basename(directory);
  return {
    id,
    experiment: readChecked(file, experimentSchema),
    environment: readChecked(path.join(directory, 'environment.json'), environmentSchema),
    state: stateOf(directory),
    startedAt: startOf(id, directory),
    record: null,
    file,
    directory,
    ...logOf(directory),
  };
}

/** @param directory The run's own, with its log; null where only the record was kept. */
function fromRecord({ file, record }: FoundRecord, directory: string | null): KnownRun {
  const { run: id, experiment, environment, exitReason: state, startedAt } = record;
  return { id, experiment, environment, state, startedAt, record, file, directory, ...logOf(directory) };
}

const isRunDirectory = (folder: string) => existsSync(path.join(folder, 'experiment.json'));

/**
 * The run of a path: a run directory, its log, or the file of a record; null where the path is neither.
 * @throws UserError that names a broken file.
 */
function runAtPath(reference: string): KnownRun | null {
  if (!existsSync(reference)) return null;
  const given = path.basename(reference) === LOG_FILE ? path.dirname(reference) : reference;
  if (!statSync(given).isDirectory()) return fromRecord({ file: given, record: readRecord(given) }, null);
  if (!isRunDirectory(given)) return null;
  const directory = path.resolve(given);
  const file = path.join(directory, 'record.json');
  return existsSync(file) ? fromRecord({ file, record: readRecord(file) }, directory) : fromDirectory(directory);
}

/** Runs found below some folders, each read once and only where it is asked for. */
export class RunCatalogue {
  private found: readonly KnownRun[] | null = null;

  constructor(
    private readonly folders: RunFolders,
    /** Told once of each broken run directory or record, which is left out. */
    private readonly onBroken: OnBroken,
  ) {}

  /** Every run of a run directory or a kept record, each run once, oldest first. Also those that still run. */
  all(): readonly KnownRun[] {
    this.found ??= this.read();
    return this.found;
  }

  private read(): KnownRun[] {
    const { results, runs } = this.folders;
    const known = new Map<string, KnownRun>();
    const add = (read: () => KnownRun) => {
      const run = orBroken(read, this.onBroken);
      if (run !== null) known.set(keyOf(run), run);
    };
    for (const found of findRecords(results, runs, this.onBroken)) {
      const { row, run } = found.record;
      const inside = path.basename(found.file) === 'record.json';
      const directory = inside ? path.dirname(found.file) : path.join(runs, row, run);
      add(() => fromRecord(found, isRunDirectory(directory) ? directory : null));
    }
    for (const row of entries(runs)) {
      for (const id of entries(path.join(runs, row))) {
        const directory = path.join(runs, row, id);
        // A record in the directory was read already, or is broken and was named.
        if (
          isRunDirectory(directory) &&
          !existsSync(path.join(directory, 'record.json')) &&
          !known.has(`${row} ${id}`)
        ) {
          add(() => fromDirectory(directory));
        }
      }
    }
    return [...known.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt) || a.id.localeCompare(b.id));
  }

  /**
   * The runs that references mean, each once, in their order: a run directory, a record's file, a run's id or its beginning,
   * or a row's id or a pattern of them, which means all of its runs. None: all there are.
   * @throws UserError where one means nothing, or is the path of something broken.
   */
  find(references: readonly string[]): KnownRun[] {
    if (references.length > 0) return unique(references.flatMap((reference) => this.matching(reference)));
    const all = this.all();
    if (all.length > 0) return [...all];
    throw new UserError(
      `There are no runs under ${this.folders.runs} and no records under ${this.folders.results}.`,
      'Make one with fcn reproduce, or say where they are with --runs and --results.',
    );
  }

  private matching(reference: string): readonly KnownRun[] {
    // Where it is a path, no other run needs to be read.
    const atPath = runAtPath(reference);
    if (atPath !== null) return [atPath];
    const expression = wildcardExpression(reference);
    const all = this.all();
    const found = all.filter(({ id, experiment }) => id.startsWith(reference) || expression.test(experiment.row));
    if (found.length > 0) return found;
    throw this.nothingCalled(reference);
  }

  private nothingCalled(reference: string): UserError {
    const { runs, results } = this.folders;
    const rows = loadTables().flatMap((table) => table.rows.map(({ id }) => id));
    if (rows.includes(reference)) {
      return new UserError(
        `There is no run of ${reference} under ${runs} and ${results} yet.`,
        `Make one: fcn reproduce ${reference}.`,
      );
    }
    const all = this.all();
    const meant = nearest(reference, [...all.map(({ id }) => id), ...all.map(({ experiment }) => experiment.row)]);
    return new UserError(
      existsSync(reference)
        ? `${reference} is no run directory (it holds no experiment.json), and no run under ${runs} and ${results} is called so.`
        : `No run is called ${reference} under ${runs} and ${results}.`,
      meant === undefined
        ? 'Give the id of a run or a row, a run directory, or the file of a record.'
        : `Did you mean ${meant}?`,
    );
  }
}

const keyOf = ({ id, experiment }: KnownRun) => `${experiment.row} ${id}`;

function unique(found: readonly KnownRun[]): KnownRun[] {
  return [...new Map(found.map((run) => [keyOf(run), run])).values()];
}

/** The run of a directory as it is now. @throws UserError where it is none, or broken. */
export function readRunDirectory(directory: string): KnownRun {
  const run = runAtPath(directory);
  if (run === null) throw new UserError(`${directory} is no run directory: it holds no experiment.json.`);
  return run;
}

/** The same run, with what became of it where it left no record: whether its process is still there. */
export async function standing(run: KnownRun): Promise<KnownRun> {
  if (run.record !== null || run.directory === null) return run;
  return { ...run, state: (await inspectRun(run.directory)).state };
}
