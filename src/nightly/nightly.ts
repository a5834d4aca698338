import { findKeptRecords } from '../records/find.js';
import { UserError } from '../support/errors.js';
import { writeFileAtomic } from '../support/files.js';
import { type Judgement, judgeNight, loadGates, soundNights } from './gates.js';
import { appendEntry, type Entry, joinShards, type MeasuredNight, readEntries, readHistory } from './history.js';
import { missingFigures, recordEntry } from './measurements.js';
import { failureLine, nightSummary } from './summary.js';

export interface JudgeOptions {
  /** The gates' file; that of the package where not given. */
  readonly gates?: string | undefined;
  /** The history's file; it need not be there yet. */
  readonly history: string;
  /** The kept smoke records under it are older than any night. */
  readonly results: string;
  /** Why this night is what later ones are compared with. */
  readonly accept?: string | undefined;
}

export interface JudgedNight {
  readonly night: Entry;
  readonly judgements: readonly Judgement[];
  /** Of the job's page, markdown. */
  readonly summary: string;
  /** What failed, a line each; empty where nothing did. */
  readonly failures: readonly string[];
}

/**
 * Judges a night by what came before it, and adds it to the history.
 * @throws UserError where nothing was measured: that is no night.
 */
export async function closeNight(measured: MeasuredNight, options: JudgeOptions): Promise<JudgedNight> {
  const gates = await loadGates(options.gates);
  requireFigures(measured);
  const history = readHistory(options.history);
  const kept = findKeptRecords(options.results).map(({ record }) => record);
  const smoke = kept.filter(({ profile }) => profile === 'smoke').map(recordEntry);
  const before = [...smoke, ...history];
  const judgements = judgeNight(gates, measured, before);
  const gated = new Set(gates.gates.map(({ quantity }) => quantity));
  const missing = missingFigures(measured, soundNights(before, measured.engine), gated);
  const failed = judgements.filter(({ verdict }) => verdict === 'fail');
  const night: Entry = {
    ...measured,
    problems: [...measured.problems, ...missing],
    failed: [...new Set(failed.map(({ gate }) => gate.name))],
    accepted: options.accept ?? null,
  };
  await appendEntry(options.history, night);
  const failures = [...night.problems, ...failed.map(failureLine)];
  return { night, judgements, summary: nightSummary(night, judgements, history), failures };
}

/** Writes a night that is judged elsewhere, together with other parts of it. */
export async function writeMeasurements(file: string, night: Entry): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(night)}\n`);
}

/**
 * The night that files hold, each a part of it.
 * @throws UserError where a file holds none, or they do not belong together.
 */
export function readMeasurements(files: readonly string[]): MeasuredNight {
  const shards = files.flatMap((file) => {
    const entries = readEntries(file);
    if (entries.length === 0) {
      throw new UserError(`${file} is empty.`, 'Give files that fcn nightly --measure has written.');
    }
    return entries.map((entry) => ({ file, entry }));
  });
  return joinShards(shards);
}

/** A night that failed to measure anything has problems, which are shown; one without any was asked for what is not there. */
function requireFigures({ measurements, problems, leftOut = [] }: MeasuredNight): void {
  if (measurements.length > 0 || problems.length > 0) return;
  const reasons = leftOut.map(({ part, reason }) => ` ${part} is left out: ${reason}.`);
  throw new UserError(`Nothing was measured.${reasons.join('')}`, 'Ask for parts that this machine can measure.');
}
