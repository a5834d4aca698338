import { findKeptRecords } from '../report/records.js';
import { writeFileAtomic } from '../support/files.js';
import type { Entry } from './entry.js';
import { loadGates } from './gates.js';
import { appendEntry, joinEntries, readEntries, readHistory } from './history.js';
import { type Judgement, judgeNight } from './judge.js';
import { recordEntry } from './measurements.js';
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

/** Judges a night by what came before it, and adds it to the history. */
export async function closeNight(measured: Entry, options: JudgeOptions): Promise<JudgedNight> {
  const gates = await loadGates(options.gates);
  const history = readHistory(options.history);
  const kept = findKeptRecords(options.results).map(({ record }) => record);
  const smoke = kept.filter(({ profile }) => profile === 'smoke').map(recordEntry);
  const judgements = judgeNight(gates, measured, [...smoke, ...history]);
  const failed = judgements.filter(({ verdict }) => verdict === 'fail');
  const night: Entry = {
    ...measured,
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

/** The night that files hold, each a part of it. */
export function readMeasurements(files: readonly string[]): Entry {
  return joinEntries(files.flatMap(readEntries));
}
