import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { canonicalJson, hashExperiment } from '../experiments/hash.js';
import { readSealed, writeSealed } from '../support/sealed.js';
import type { PlannedRun } from './plan.js';
import { highestNumber } from './resumption.js';

const schema = z.object({
  /** The highest number of the runs that there were of each row. */
  numbers: z.record(z.string(), z.int().min(0)),
});

/**
 * Where a series began, kept beside the run directories until all of it has completed: a run of it that completed, with a
 * higher number than any that was there, is not run again where the series was interrupted.
 */
export class SeriesStart {
  private constructor(
    private readonly file: string,
    private readonly numbers: Readonly<Record<string, number>>,
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
    const before = anew ? null : await readSealed(file);
    const known = schema.safeParse(before).data;
    if (known !== undefined) return new SeriesStart(file, known.numbers);
    const numbers: Record<string, number> = {};
    for (const { experiment } of plan) numbers[experiment.row] ??= await highestNumber(path.join(runs, experiment.row));
    await writeSealed(file, { numbers });
    return new SeriesStart(file, numbers);
  }

  /** The highest number of the runs of a row that there were. */
  numberBefore({ experiment }: PlannedRun): number {
    return this.numbers[experiment.row]!;
  }

  /** Forgets the series: all of it has completed. What cannot be removed makes it begin where it began, the next time. */
  async end(): Promise<void> {
    await rm(this.file, { force: true });
  }
}
