import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type Experiment, experimentSchema } from '../recipe/experiment.js';
import { hashExperiment, isHashOf } from '../recipe/resolve.js';
import { type ClassEvaluation, classEvaluation } from '../records/class-evaluation.js';
import { type Environment, environmentSchema, type RunRecord, readRecord, recordSchema } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, foldersIn, isFolder } from '../support/files.js';
import { readJson, readSealed } from '../support/json.js';
import { inspectLock, type LockState } from '../support/lock-file.js';
import { check, formatFinding } from '../support/yaml.js';
import {
  DESCRIPTION_FILE,
  descriptionSchema,
  type RunDescription,
  type RunState,
  type RunStatus,
  stateOf,
  statusSchema,
} from './directory.js';
import { LOG_FILE, type Progress, type RunLog, readLog, readProgress } from './log.js';

/** File name of the record in a run directory. */
export const RECORD_FILE = 'record.json';

/** Every run directory has at least one of these files. */
const FIRST_FILES = ['experiment.json', DESCRIPTION_FILE];

/** The state of a run, and its sources. */
interface ObservedState {
  readonly state: RunState;
  /** Null if missing or damaged. */
  readonly status: RunStatus | null;
  /** Null if nobody holds it. */
  readonly lock: LockState | null;
}

const figure = z.number().nullable().catch(null);
const briefExperimentSchema = z.object({ profile: z.string(), seed: z.number() });
const briefRecordSchema = z.object({
  exitReason: recordSchema.shape.exitReason.nullable().catch(null),
  error: z.string().nullable().catch(null),
  weights: recordSchema.shape.weights.catch(null),
  /** Percent. */
  figures: z.object({ mIoU: figure, mIoUMsFlip: figure }),
});

const { evaluate, 'evaluate-ms': multiScale } = recordSchema.shape.details.shape;
const recordedEvaluationsSchema = z.object({
  details: z.object({ evaluate: evaluate.catch(null), 'evaluate-ms': multiScale.catch(null) }),
});

/**
 * Reads a run directory, RUNS/ROW/RUN, to which another process may be writing: each call reads the file anew.
 * @throws UserError if a file cannot be read.
 */
export class RunReader {
  /** The names of the folders. */
  readonly row: string;
  readonly id: string;

  constructor(readonly folder: string) {
    const absolute = path.resolve(folder);
    this.row = path.basename(path.dirname(absolute));
    this.id = path.basename(absolute);
  }

  /** Whether the folder is a run directory. */
  isRun(): boolean {
    return FIRST_FILES.some((name) => existsSync(this.file(name)));
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  /** run.json; null if missing or damaged. */
  async description(): Promise<RunDescription | null> {
    const content = await readSealed(this.file(DESCRIPTION_FILE));
    return content === null || content === 'damaged' ? null : (descriptionSchema.safeParse(content).data ?? null);
  }

  /** Where the data sets of the run were, as far as they still are there; null if unknown or gone. */
  async dataRoot(): Promise<string | null> {
    const root = (await this.description())?.dataRoot ?? null;
    return root !== null && (await isFolder(root)) ? root : null;
  }

  /** status.json; null if missing or damaged. */
  async status(): Promise<RunStatus | null> {
    return statusSchema.safeParse(await readJson(this.file('status.json'))).data ?? null;
  }

  /** progress.json; null if missing or damaged. */
  progress(): Promise<Progress | null> {
    return readProgress(this.folder);
  }

  /** @throws UserError that names the file if it is missing or damaged. */
  experiment(): Experiment {
    return readChecked(this.file('experiment.json'), experimentSchema);
  }

  /**
   * The recipe's hash, as this version computes it, of a run with this recorded hash. The recorded one if experiment.json is missing
   * or damaged, or is of another recipe.
   */
  async recipeHash(recorded: string): Promise<string> {
    const experiment = experimentSchema.safeParse(await readJson(this.file('experiment.json'))).data;
    return experiment !== undefined && isHashOf(recorded, experiment) ? hashExperiment(experiment) : recorded;
  }

  /** @throws UserError that names the file if it is missing or damaged. */
  environment(): Environment {
    return readChecked(this.file('environment.json'), environmentSchema);
  }

  hasRecord(): boolean {
    return existsSync(this.file(RECORD_FILE));
  }

  /** Null if there is none. @throws UserError that names the file if it is damaged. */
  record(): RunRecord | null {
    return this.hasRecord() ? readRecord(this.file(RECORD_FILE)) : null;
  }

  /** Empty if nothing was logged. @throws UserError that names file and line of damage. */
  log(): RunLog {
    return readLog(this.file(LOG_FILE));
  }

  /** Profile and seed; null if the experiment is missing or damaged. */
  async briefExperiment(): Promise<z.output<typeof briefExperimentSchema> | null> {
    return briefExperimentSchema.safeParse(await readJson(this.file('experiment.json'))).data ?? null;
  }

  /** How the run ended, and its mIoU; null if the record is missing or damaged. */
  async briefRecord(): Promise<z.output<typeof briefRecordSchema> | null> {
    return briefRecordSchema.safeParse(await readJson(this.file(RECORD_FILE))).data ?? null;
  }

  /** The evaluation in the record whose classes are shown; null without one, or if the record is missing or damaged. */
  async classes(): Promise<ClassEvaluation | null> {
    const { data } = recordedEvaluationsSchema.safeParse(await readJson(this.file(RECORD_FILE)));
    return data === undefined ? null : classEvaluation(data.details);
  }

  /** Whether nothing is left to do. A lost record is made again from the results of the stages. */
  async isCompleted(): Promise<boolean> {
    return (await this.status())?.state === 'completed' && this.hasRecord();
  }

  /** The run's state now. */
  async state(): Promise<ObservedState> {
    const found = await this.observe();
    // The run may have started or ended between two reads.
    return found.state === 'killed' ? this.observe() : found;
  }

  private async observe(): Promise<ObservedState> {
    // The lock first: a process writes its end before it releases the lock.
    const lock = await inspectLock(this.file('lock'));
    const status = await this.status();
    const ended = status === null ? await this.briefRecord() : null;
    return { state: stateOf(status?.state ?? ended?.exitReason ?? null, lock), status, lock };
  }

  /** Start of the run, ISO 8601: from run.json, else from its id, 20250102-030405-…, else from its folder's age. */
  startedAt(description: RunDescription | null): string {
    if (description !== null) return description.startedAt;
    const match = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)/.exec(this.id);
    if (match === null) {
      const made = statSync(this.folder, { throwIfNoEntry: false })?.birthtime;
      // The folder may have been removed meanwhile.
      return (made ?? new Date(0)).toISOString();
    }
    const [, year, month, day, hour, minute, second] = match;
    return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  }
}

/** Why the files of a run cannot be read; null for any other error. */
export function whyUnreadable(error: unknown): string | null {
  if (error instanceof UserError) return error.message;
  const { syscall, message } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : message;
}

function readChecked<T>(file: string, schema: z.ZodType<T>): T {
  const next = 'Fix the file or remove the run directory.';
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

/** Folder of the jobs among those of the rows. A row may have this name, too. */
export const JOBS_FOLDER = 'jobs';

/** The runs below a folder of run directories, by row and name; with `row`, only of that one. */
export async function runsBelow(runs: string, row?: string): Promise<RunReader[]> {
  const rows = row === undefined ? await foldersIn(runs) : [row];
  const found: RunReader[] = [];
  for (const one of rows) {
    for (const id of await foldersIn(path.join(runs, one))) {
      const reader = new RunReader(path.join(runs, one, id));
      if (one !== JOBS_FOLDER || reader.isRun()) found.push(reader);
    }
  }
  return found;
}
