import path from 'node:path';
import type { Experiment } from '../recipe/experiment.js';
import { type FoundRecord, findResultRecords, type OnBroken } from '../records/folder.js';
import { type Environment, type RunRecord, readRecord } from '../records/record.js';
import { UserError } from '../support/errors.js';
import type { RunState } from './directory.js';
import type { RunLog } from './log.js';
import {
  compareStarts,
  type NamedRun,
  nameOfReference,
  newestRun,
  type RunPlaces,
  requireSome,
  runAtPath,
  runsCalled,
} from './run-names.js';
import { RECORD_FILE, RunReader, runsBelow } from './run-reader.js';

/** All that is known of a run: from its directory, its record, or both. */
export interface KnownRun extends NamedRun {
  readonly experiment: Experiment;
  readonly environment: Environment;
  readonly state: RunState;
  /** Null before the run has ended, or where it ended without writing one. Of one that is resumed, of its last end. */
  readonly record: RunRecord | null;
  /** The file that the record was read from; of a run without one, its experiment.json. */
  readonly file: string;
  /** Empty if there is none. */
  readonly log: RunLog['train'];
  /** Evaluations during training. */
  readonly validation: RunLog['validation'];
}

/**
 * The run of a directory as it is now.
 * @param kept Its record, where it was read from a file elsewhere.
 * @throws UserError if it is none, or broken.
 */
export async function readRun(folder: string, kept?: FoundRecord): Promise<KnownRun> {
  const reader = new RunReader(folder);
  if (!reader.isRun() && !reader.hasRecord()) {
    throw new UserError(`${folder} is no run directory: it holds no experiment.json.`);
  }
  const { state } = await reader.state();
  const description = await reader.description();
  const record = kept === undefined ? reader.record() : kept.record;
  const { train: log, validation } = reader.log();
  const common = { state, number: description?.number ?? 0, directory: path.resolve(folder), log, validation };
  if (record !== null) return { ...ofRecord({ file: kept?.file ?? reader.file(RECORD_FILE), record }), ...common };
  return {
    row: reader.row,
    id: reader.id,
    experiment: reader.experiment(),
    environment: reader.environment(),
    startedAt: reader.startedAt(description),
    record: null,
    file: reader.file('experiment.json'),
    ...common,
  };
}

/** A run of which only the record is known. */
function ofRecord({ file, record }: FoundRecord): KnownRun {
  const { row, run: id, experiment, environment, exitReason: state, startedAt } = record;
  const nothing = { number: 0, directory: null, log: [], validation: [] };
  return { row, id, experiment, environment, state, startedAt, record, file, ...nothing };
}

interface RunFolders extends RunPlaces {
  readonly results: string;
}

/** Runs found below some folders, each read once and only where it is asked for. */
export class RunCatalogue {
  private found: Promise<readonly KnownRun[]> | null = null;

  constructor(
    private readonly folders: RunFolders,
    /** Told once of each broken run directory or record, which is left out. */
    private readonly onBroken: OnBroken,
  ) {}

  /** Every run of a run directory or a kept record, each run once, oldest first. Also those that still run. */
  all(): Promise<readonly KnownRun[]> {
    this.found ??= this.read();
    return this.found;
  }

  private async read(): Promise<KnownRun[]> {
    const { results, runs } = this.folders;
    const known = new Map<string, KnownRun>();
    const add = async (read: () => Promise<KnownRun>) => {
      try {
        const run = await read();
        // Of a run directory that was copied, the one that is called as the run counts.
        const isCopy = run.directory !== null && path.basename(run.directory) !== run.id;
        if (!isCopy || !known.has(keyOf(run))) known.set(keyOf(run), run);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        this.onBroken(error);
      }
    };
    for (const reader of await runsBelow(runs)) {
      if (reader.isRun() || reader.hasRecord()) await add(() => readRun(reader.folder));
    }
    for (const found of findResultRecords(results, this.onBroken)) await add(() => this.ofKept(found, known));
    return [...known.values()].sort(compareStarts);
  }

  /** The run of a kept record, with what its directory holds, if it is there. */
  private async ofKept(found: FoundRecord, known?: ReadonlyMap<string, KnownRun>): Promise<KnownRun> {
    const { row, run } = found.record;
    const there = known?.get(keyOf({ row, id: run }));
    if (there !== undefined) return { ...there, ...found };
    const directory = path.join(this.folders.runs, row, run);
    return new RunReader(directory).isRun() ? readRun(directory, found) : ofRecord(found);
  }

  /**
   * The runs that references mean, each once, in their order: a run directory, a record's file, a run or the beginning of its
   * name, or a row or a pattern, which means all of its runs. None: all there are.
   * @throws UserError if one means nothing or the beginning of several, or is the path of something broken.
   */
  async find(references: readonly string[]): Promise<KnownRun[]> {
    if (references.length === 0) return [...requireSome(await this.all(), this.folders)];
    const found: KnownRun[] = [];
    for (const reference of references) found.push(...(await this.matching(reference)));
    return [...new Map(found.map((run) => [keyOf(run), run])).values()];
  }

  /** The run that a reference means; of a row or a pattern the newest. @throws UserError as `find` does. */
  async findOne(reference: string): Promise<KnownRun> {
    return newestRun(await this.matching(reference));
  }

  private async matching(reference: string): Promise<readonly [KnownRun, ...KnownRun[]]> {
    const name = nameOfReference(reference, this.folders.runs);
    // Where it is a path, or ROW/RUN of a directory, no other run needs to be read.
    const there = runAtPath(reference) ?? directoryNamed(name, this.folders.runs);
    if (there === null) return runsCalled(name, await this.all(), this.folders);
    if ('directory' in there) return [await readRun(there.directory)];
    return [await this.ofKept({ file: there.record, record: readRecord(there.record) })];
  }
}

/** The run directory of ROW/RUN; null if there is none. */
function directoryNamed(name: string, runs: string): { readonly directory: string } | null {
  const directory = path.join(runs, name);
  return /^[^/]+\/[^/]+$/.test(name) && new RunReader(directory).isRun() ? { directory } : null;
}

const keyOf = ({ row, id }: Pick<KnownRun, 'row' | 'id'>) => `${row} ${id}`;
