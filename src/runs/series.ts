import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { canonicalJson, hashExperiment } from '../recipe/resolve.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import { withLock } from '../support/lock.js';
import { checkRuns, refusalOf } from './checks.js';
import { type Execution, execute } from './execute.js';
import { fetchMissingBackbone } from './fetch.js';
import type { PlannedRun } from './plan.js';
import type { ExecuteOptions } from './prepare-run.js';
import { completedRuns } from './resumption.js';
import { orMistake } from './run-check.js';

interface SeriesOptions extends Omit<ExecuteOptions, 'experiment' | 'deviations' | 'predictions'> {
  readonly plan: readonly PlannedRun[];
  /** Continue with the next run after a failure. An interruption always ends the series. */
  readonly keepGoing: boolean;
  /** Called before each run; `index` counts from 0. */
  readonly onStart?: (run: PlannedRun, index: number) => void;
  /** Called after each run that did not complete. */
  readonly onFailure?: (outcome: FailedRun) => void;
}

/** How a run of a series ended. */
export type Outcome = CompletedRun | FailedRun | { readonly run: PlannedRun; readonly state: 'not run' };

interface CompletedRun {
  readonly run: PlannedRun;
  readonly state: 'completed';
  readonly execution: Execution;
  readonly seconds: number;
}

interface FailedRun {
  readonly run: PlannedRun;
  readonly state: 'failed' | 'interrupted';
  readonly error: unknown;
}

/**
 * Executes runs one after the other. Checks all of them first, so that a data set missing for the last one is reported now and
 * not after days.
 * @returns How each ended, in order. After a failure (unless `keepGoing`) or an interruption, the rest is not run.
 * @throws SeveralProblems if some of the runs cannot be started, unless `keepGoing`.
 */
export async function executeSeries(options: SeriesOptions): Promise<Outcome[]> {
  const { plan, keepGoing, signal, note, onStart, onFailure } = options;
  const refused = await checkAll(options);
  const series = plan.length > 1 ? await beginSeries(options) : null;
  const outcomes: Outcome[] = [];
  let ended = false;
  for (const [index, run] of plan.entries()) {
    if (ended) {
      outcomes.push({ run, state: 'not run' });
      continue;
    }
    onStart?.(run, index);
    const outcome = refused.get(run) ?? (await executeOne(run, options, series));
    outcomes.push(outcome);
    if (outcome.state === 'completed') continue;
    onFailure?.(outcome);
    ended = !keepGoing || outcome.state === 'interrupted' || signal.aborted;
  }
  if (outcomes.every(({ state }) => state === 'completed')) {
    await series?.end().catch((error: UserError) => {
      note(`${error.message} The same command will find this series complete; --fresh runs it again.`);
    });
  }
  return outcomes;
}

/** Two series are the same if their runs and these settings are. */
async function beginSeries(options: SeriesOptions): Promise<SeriesStart> {
  const { runs, plan, stages, engine, weights = null, weightsKey, resume } = options;
  const settings = { stages, engine, weights, ...(weightsKey !== undefined && { weightsKey }) };
  return SeriesStart.open(runs, plan, settings, resume === 'never');
}

async function executeOne(
  run: PlannedRun,
  options: SeriesOptions,
  series: SeriesStart | null,
): Promise<CompletedRun | FailedRun> {
  const start = performance.now();
  try {
    const execution = await execute({
      ...options,
      ...run,
      inSeries: series !== null,
      resume:
        series !== null && options.resume === 'unfinished' ? { except: series.completedBefore(run) } : options.resume,
    });
    return { run, state: 'completed', execution, seconds: (performance.now() - start) / 1000 };
  } catch (error) {
    return { run, state: error instanceof InterruptedError ? 'interrupted' : 'failed', error };
  }
}

/**
 * The runs that cannot be started.
 * @throws SeveralProblems for all of them together, each problem once, unless `keepGoing`.
 */
async function checkAll(options: SeriesOptions): Promise<Map<PlannedRun, FailedRun>> {
  const { plan, keepGoing } = options;
  const refused = new Map<PlannedRun, FailedRun>();
  // A single run checks itself.
  if (plan.length === 1) return refused;
  const checked = await checkRuns(plan, options);
  const refusal = refusalOf(checked);
  if (refusal !== null && !keepGoing) throw refusal;
  for (const each of checked) {
    const { run } = each;
    const error = refusalOf([each]) ?? (await orMistake(() => fetchInputs(run, options)));
    if (!(error instanceof UserError)) continue;
    if (!keepGoing) throw error;
    refused.set(run, { run, state: 'failed', error });
  }
  return refused;
}

/** Fetches what the run needs now, and not after days. */
export async function fetchInputs(
  { experiment }: PlannedRun,
  options: Pick<SeriesOptions, 'stages'> & Parameters<typeof fetchMissingBackbone>[1],
): Promise<void> {
  if (options.stages.includes('train')) await fetchMissingBackbone(experiment, options);
}

const schema = z.object({
  /** Ids of the complete runs, by row. */
  completed: z.array(z.tuple([z.string(), z.array(z.string())])),
});

/**
 * The runs that were complete when a series began, kept in a file until the series completes. If it is interrupted, runs
 * completed since then are not run again.
 */
export class SeriesStart {
  private constructor(
    private readonly file: string,
    private readonly completed: ReadonlyMap<string, readonly string[]>,
  ) {}

  /**
   * Begins or resumes a series.
   * @param settings What distinguishes series of the same runs.
   * @throws UserError if the folder cannot be written.
   */
  static async open(runs: string, plan: readonly PlannedRun[], settings: unknown, anew: boolean): Promise<SeriesStart> {
    const hashes = plan.map(({ experiment }) => hashExperiment(experiment));
    const key = createHash('sha256')
      .update(canonicalJson([hashes, settings]))
      .digest('hex')
      .slice(0, 16);
    const file = path.join(runs, `.series-${key}.json`);
    // If two processes begin the same series at once, the second must not count what the first completes.
    return withLock(`${file}.lock`, async () => {
      const known = schema.safeParse(anew ? null : await readSealed(file)).data;
      if (known !== undefined) return new SeriesStart(file, new Map(known.completed));
      const completed = new Map<string, readonly string[]>();
      for (const row of new Set(plan.map(({ experiment }) => experiment.row))) {
        completed.set(row, await completedRuns(path.join(runs, row)));
      }
      await writeSealed(file, { completed: [...completed] });
      return new SeriesStart(file, completed);
    });
  }

  /** Ids of the row's runs that were complete when the series began. */
  completedBefore({ experiment }: PlannedRun): readonly string[] {
    return this.completed.get(experiment.row) ?? [];
  }

  /** Forgets the completed series. @throws UserError if its file cannot be removed. */
  async end(): Promise<void> {
    try {
      await rm(this.file, { force: true });
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
  }
}
