import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { canonicalJson, hashExperiment } from '../experiments/hash.js';
import { explainFileError } from '../support/files.js';
import { withLock } from '../support/lock.js';
import { readSealed, writeSealed } from '../support/sealed.js';
import type { PlannedRun } from './plan.js';
import { completedRuns } from './resumption.js';

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
   * @throws UserError where the folder cannot be written.
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

  /** Forgets the series: all of it has completed. @throws UserError where its file cannot be removed. */
  async end(): Promise<void> {
    try {
      await rm(this.file, { force: true });
    } catch (error) {
      throw explainFileError(error, this.file, 'write');
    }
  }
}
