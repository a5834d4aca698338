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
  newestTraining,
  type RunPlaces,
  referenceName,
  requireRuns,
  runAtPath,
  runsNamed,
} from './run-names.js';
import { RECORD_FILE, RunReader, runsBelow } from './run-reader.js';

/** A run as its directory, its record, or both describe it. */
export interface KnownRun extends NamedRun {
  readonly experiment: Experiment;
  readonly environment: Environment;
  readonly state: RunState;
  /** Null before the run has ended, or if it ended without a record. For a resumed run, the record of its last end. */
  readonly record: RunRecord | null;
  /** The record's file; without a record, the experiment.json. */
  readonly file: string;
  /** Differences from the published recipe; none if a run of an earlier version does not say. */
  readonly deviations: RunRecord['deviations'];
  readonly log: RunLog['train'];
  /** Evaluations during training. */
  readonly validation: RunLog['validation'];
}

/**
 * Reads the run of a directory.
 * @param kept Its record, if that was read from another file.
 * @throws UserError if it is not a run directory, or broken.
 */
export async function readRun(folder: string, kept?: FoundRecord): Promise<KnownRun> {
  const reader = new RunReader(folder);
  if (!reader.isRun() && !reader.hasRecord()) {
    throw new UserError(`${folder} is not a run directory: it has no experiment.json.`);
  }
  const { state } = await reader.state();
  const description = await reader.description();
  const record = kept === undefined ? reader.record() : kept.record;
  const { train: log, validation } = reader.log();
  const stages = description?.identity.stages ?? record?.stages.map(({ stage }) => stage);
  const trains = stages?.includes('train') ?? log.length > 0;
  const common = { state, number: description?.number ?? 0, trains, directory: path.resolve(folder), log, validation };
  if (record !== null) return { ...ofRecord({ file: kept?.file ?? reader.file(RECORD_FILE), record }), ...common };
  return {
    row: reader.row,
    id: reader.id,
    experiment: reader.experiment(),
    environment: reader.environment(),
    startedAt: reader.startedAt(description),
    deviations: description?.deviations ?? [],
    record: null,
    file: reader.file('experiment.json'),
    ...common,
  };
}

/** A run without a directory. */
function ofRecord({ file, record }: FoundRecord): KnownRun {
  const { row, run: id, experiment, environment, exitReason: state, startedAt, deviations } = record;
  const trains = record.stages.some(({ stage }) => stage === 'train');
  const nothing = { number: 0, directory: null, log: [], validation: [] };
  return { row, id, experiment, environment, state, startedAt, deviations, record, file, trains, ...nothing };
}

/** The runs of some folders, each read once, when it is first needed. */
export class RunCatalogue {
  private found: Promise<readonly KnownRun[]> | null = null;

  constructor(
    private readonly folders: RunPlaces & { readonly results: string },
    /** Called once for each broken run directory or record, which is left out. */
    private readonly onBroken: OnBroken,
  ) {}

  /** All runs with a directory or a record, each once, oldest first, also running ones. */
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
        // If a run directory was copied, the one with the run's own name wins.
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

  /** The run of a kept record, with its directory if that exists. */
  private async ofKept(found: FoundRecord, known?: ReadonlyMap<string, KnownRun>): Promise<KnownRun> {
    const { row, run } = found.record;
    const seen = known?.get(keyOf({ row, id: run }));
    if (seen !== undefined) return { ...seen, ...found };
    const directory = path.join(this.folders.runs, row, run);
    return new RunReader(directory).isRun() ? readRun(directory, found) : ofRecord(found);
  }

  /**
   * The runs that references mean, each once, in order: a run directory, a record file, a run's name or its beginning, or a row
   * or pattern, which means all its runs. Without references, all runs.
   * @throws UserError if a reference means nothing, is the beginning of several names, or is the path of something broken.
   */
  async find(references: readonly string[]): Promise<KnownRun[]> {
    if (references.length === 0) return [...requireRuns(await this.all(), this.folders)];
    const found: KnownRun[] = [];
    for (const reference of references) found.push(...(await this.matching(reference)));
    return [...new Map(found.map((run) => [keyOf(run), run])).values()];
  }

  /** The run that a reference means; for a row or pattern, the newest that trains. @throws UserError like `find`. */
  async findOne(reference: string): Promise<KnownRun> {
    return newestTraining(await this.matching(reference));
  }

  private async matching(reference: string): Promise<readonly [KnownRun, ...KnownRun[]]> {
    const name = referenceName(reference, this.folders.runs);
    // For a path, or ROW/RUN of a directory, no other run needs to be read.
    const found = runAtPath(reference) ?? directoryNamed(name, this.folders.runs);
    if (found === null) return runsNamed(name, await this.all(), this.folders);
    if ('directory' in found) return [await readRun(found.directory)];
    return [await this.ofKept({ file: found.record, record: readRecord(found.record) })];
  }
}

/** The run directory of ROW/RUN; null if there is none. */
function directoryNamed(name: string, runs: string): { readonly directory: string } | null {
  const directory = path.join(runs, name);
  return /^[^/]+\/[^/]+$/.test(name) && new RunReader(directory).isRun() ? { directory } : null;
}

const keyOf = ({ row, id }: Pick<KnownRun, 'row' | 'id'>) => `${row} ${id}`;
