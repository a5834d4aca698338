import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type Experiment, experimentSchema } from '../recipe/experiment.js';
import { type Environment, environmentSchema, type RunRecord, readRecord, recordSchema } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, foldersIn } from '../support/files.js';
import { readJson } from '../support/json.js';
import { inspectLock, type LockState } from '../support/lock-file.js';
import { check, formatFinding } from '../support/yaml.js';
import {
  type RunDescription,
  type RunState,
  type RunStatus,
  readDescription,
  readStatus,
  stateOf,
} from './directory.js';
import { LOG_FILE, type Progress, type RunLog, readLog, readProgress } from './log.js';

/** The record of a run, in its directory. */
export const RECORD_FILE = 'record.json';

/** The files that a run directory begins with; one of them at least is in each. */
const FIRST_FILES = ['experiment.json', 'run.json'];

/** The state of a run, and what tells it. */
interface ObservedState {
  readonly state: RunState;
  /** Null if it is not there, or damaged. */
  readonly status: RunStatus | null;
  /** Null if nobody holds it. */
  readonly lock: LockState | null;
}

const figure = z.number().nullable().catch(null);
const briefExperimentSchema = z.object({ profile: z.string(), seed: z.number() });
const briefRecordSchema = z.object({
  exitReason: recordSchema.shape.exitReason.nullable().catch(null),
  error: z.string().nullable().catch(null),
  /** Percent. */
  figures: z.object({ mIoU: figure, mIoUMsFlip: figure }),
});

/**
 * A run directory, RUNS/ROW/RUN. Each file is read when it is asked for, so that it is as it is then: another process may be
 * writing it. One that the system refuses to read is a UserError.
 */
export class RunReader {
  /** As the folders are called. */
  readonly row: string;
  readonly id: string;

  constructor(readonly folder: string) {
    const absolute = path.resolve(folder);
    this.row = path.basename(path.dirname(absolute));
    this.id = path.basename(absolute);
  }

  /** Whether the folder is a run directory at all. */
  isRun(): boolean {
    return FIRST_FILES.some((name) => existsSync(this.file(name)));
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  /** run.json; null if it is not there or not as it was written. */
  description(): Promise<RunDescription | null> {
    return readDescription(this.folder);
  }

  /** status.json; null if it is not there or damaged. */
  status(): Promise<RunStatus | null> {
    return readStatus(this.folder);
  }

  /** progress.json; null if it is not there or damaged. */
  progress(): Promise<Progress | null> {
    return readProgress(this.folder);
  }

  /** The whole recipe. @throws UserError that names the file where it is not there or damaged. */
  experiment(): Experiment {
    return readChecked(this.file('experiment.json'), experimentSchema);
  }

  /** Engine, libraries and machine. @throws UserError that names the file where it is not there or damaged. */
  environment(): Environment {
    return readChecked(this.file('environment.json'), environmentSchema);
  }

  hasRecord(): boolean {
    return existsSync(this.file(RECORD_FILE));
  }

  /** Null if there is none. @throws UserError that names the file where it is damaged. */
  record(): RunRecord | null {
    return this.hasRecord() ? readRecord(this.file(RECORD_FILE)) : null;
  }

  /** Empty if nothing was logged. @throws UserError that names file and line where it is damaged. */
  log(): RunLog {
    return readLog(this.file(LOG_FILE));
  }

  /** Profile and seed alone; null if the experiment is not there or damaged. */
  async briefExperiment(): Promise<z.output<typeof briefExperimentSchema> | null> {
    return briefExperimentSchema.safeParse(await readJson(this.file('experiment.json'))).data ?? null;
  }

  /** How the run ended, and its mIoU; null if there is no record, or one that is damaged. */
  async briefRecord(): Promise<z.output<typeof briefRecordSchema> | null> {
    return briefRecordSchema.safeParse(await readJson(this.file(RECORD_FILE))).data ?? null;
  }

  /** Whether nothing is left to do. Where the record is lost, the stages are read again, and tell what they found. */
  async isCompleted(): Promise<boolean> {
    return (await this.status())?.state === 'completed' && this.hasRecord();
  }

  /** The one answer to how the run stands. */
  async state(): Promise<ObservedState> {
    const found = await this.observe();
    // It may have been started, or have ended, between two of its files.
    return found.state === 'killed' ? this.observe() : found;
  }

  private async observe(): Promise<ObservedState> {
    // The lock first: who holds it has written no end yet, and who has written one may have given it back since.
    const lock = await inspectLock(this.file('lock'));
    const status = await this.status();
    const ended = status === null ? await this.briefRecord() : null;
    return { state: stateOf(status?.state ?? ended?.exitReason ?? null, lock), status, lock };
  }

  /** When the run was begun, ISO 8601: as run.json says, else as its id does, 20250102-030405-…; else by its folder. */
  startedAt(description: RunDescription | null): string {
    if (description !== null) return description.startedAt;
    const match = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)/.exec(this.id);
    if (match === null) {
      const made = statSync(this.folder, { throwIfNoEntry: false })?.birthtime;
      // Removed meanwhile.
      return (made ?? new Date(0)).toISOString();
    }
    const [, year, month, day, hour, minute, second] = match;
    return `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  }
}

/** Why the files of a run cannot be read; null of an error that is not about that. */
export function whyUnreadable(error: unknown): string | null {
  if (error instanceof UserError) return error.message;
  const { syscall, message } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : message;
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
  throw new UserError(`${file}: ${formatFinding(checked.finding)}`, next);
}

/** The runs below a folder of run directories, by row and name; `row`: only of this one. */
export async function runsBelow(runs: string, row?: string): Promise<RunReader[]> {
  const rows = row === undefined ? await foldersIn(runs) : [row];
  const found: RunReader[] = [];
  for (const one of rows) {
    for (const id of await foldersIn(path.join(runs, one))) found.push(new RunReader(path.join(runs, one, id)));
  }
  return found;
}
