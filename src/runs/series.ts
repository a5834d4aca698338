import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { startEngine } from '../engines/selection.js';
import { canonicalJson, hashExperiment } from '../recipe/resolve.js';
import { InterruptedError, type UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import { withLock } from '../support/lock.js';
import { checkData } from './check-data.js';
import { type Execution, execute } from './execute.js';
import type { PlannedRun } from './plan.js';
import { inAvailablePrecision } from './precision.js';
import { requireInputs } from './preflight.js';
import type { ExecuteOptions } from './prepare-run.js';
import { completedRuns } from './resumption.js';

interface SeriesOptions extends Omit<ExecuteOptions, 'experiment' | 'deviations' | 'predictions'> {
  readonly plan: readonly PlannedRun[];
  /** Go on with the next run after one that failed. An interruption always ends the series. */
  readonly keepGoing: boolean;
  /** Told before each run; `index` counts from 0. */
  readonly onStart?: (run: PlannedRun, index: number) => void;
  /** Told after each run that did not complete. */
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
 * Executes runs one after the other. What can be checked of all of them is checked first, so that the last one's missing
 * data set is said now and not after days.
 * @returns How each ended, in order; after the first that failed (unless `keepGoing`) or was interrupted, the rest is not run.
 * @throws UserError if one of the runs cannot be started, unless `keepGoing`.
 */
export async function executeSeries(options: SeriesOptions): Promise<Outcome[]> {
  const { plan, keepGoing, signal, note, onStart, onFailure } = options;
  const refused = await checkAll(options);
  const begun = plan.length > 1 ? await begin(options) : null;
  const outcomes: Outcome[] = [];
  let ended = false;
  for (const [index, run] of plan.entries()) {
    if (ended) {
      outcomes.push({ run, state: 'not run' });
      continue;
    }
    onStart?.(run, index);
    const outcome = refused.get(run) ?? (await executeOne(run, options, begun));
    outcomes.push(outcome);
    if (outcome.state === 'completed') continue;
    onFailure?.(outcome);
    ended = !keepGoing || outcome.state === 'interrupted' || signal.aborted;
  }
  if (outcomes.every(({ state }) => state === 'completed')) {
    await begun?.end().catch((error: UserError) => {
      note(`${error.message} The same series would only be shown: --fresh runs it again.`);
    });
  }
  return outcomes;
}

/** Series of the same runs are one where what is done with each run is the same. */
async function begin(options: SeriesOptions): Promise<SeriesStart> {
  const { runs, plan, stages, engine, weights = null, weightsKey, resume } = options;
  const settings = { stages, engine, weights, ...(weightsKey !== undefined && { weightsKey }) };
  return SeriesStart.open(runs, plan, settings, resume === 'never');
}

async function executeOne(
  run: PlannedRun,
  options: SeriesOptions,
  begun: SeriesStart | null,
): Promise<CompletedRun | FailedRun> {
  const start = performance.now();
  try {
    const ofSeries = begun !== null && options.resume === 'unfinished';
    const execution = await execute({
      ...options,
      ...run,
      inSeries: begun !== null,
      resume: ofSeries ? { except: begun.completedBefore(run) } : options.resume,
    });
    return { run, state: 'completed', execution, seconds: (performance.now() - start) / 1000 };
  } catch (error) {
    return { run, state: error instanceof InterruptedError ? 'interrupted' : 'failed', error };
  }
}

/** The runs that cannot be started; throws at the first of them where a failure ends the series anyway. */
async function checkAll(options: SeriesOptions): Promise<Map<PlannedRun, FailedRun>> {
  const { plan, keepGoing } = options;
  const refused = new Map<PlannedRun, FailedRun>();
  // A single run checks itself.
  if (plan.length === 1) return refused;
  const engine = await startEngine(options);
  for (const run of plan) {
    try {
      inAvailablePrecision(engine, run);
      await requireInputs(run.experiment, options);
      await checkData({ ...options, experiment: run.experiment });
    } catch (error) {
      if (!keepGoing) throw error;
      refused.set(run, { run, state: 'failed', error });
    }
  }
  return refused;
}

const schema = z.object({
  /** Ids of the runs that had completed, by row. */
  completed: z.array(z.tuple([z.string(), z.array(z.string())])),
});

/**
 * Where a series began, kept beside the run directories until all of it has completed: what completed since is not run again
 * where the series was interrupted.
 */
export class SeriesStart {
  private constructor(
    private readonly file: string,
    private readonly completed: ReadonlyMap<string, readonly string[]>,
  ) {}

  /**
   * Begins a series, or goes on with one.
   * @param settings What makes two series of the same runs different ones.
   * @throws UserError if the folder cannot be written.
   */
  static async open(runs: string, plan: readonly PlannedRun[], settings: unknown, anew: boolean): Promise<SeriesStart> {
    const hashes = plan.map(({ experiment }) => hashExperiment(experiment));
    const key = createHash('sha256')
      .update(canonicalJson([hashes, settings]))
      .digest('hex')
      .slice(0, 16);
    const file = path.join(runs, `.series-${key}.json`);
    // Of two processes that begin the same series at once, the second must not count what the first has completed.
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

  /** Ids of the runs of a row that had completed before. */
  completedBefore({ experiment }: PlannedRun): readonly string[] {
    return this.completed.get(experiment.row) ?? [];
  }

  /** Forgets the series: all of it has completed. @throws UserError if its file cannot be removed. */
  async end(): Promise<void> {
    try {
      await rm(this.file, { force: true });
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
  }
}
