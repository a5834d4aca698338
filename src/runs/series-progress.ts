import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { canonicalJson, hashExperiment } from '../experiments/hash.js';
import { withLock } from '../support/lock.js';
import { readSealed, writeSealed } from '../support/sealed.js';
import type { PlannedRun } from './plan.js';

const schema = z.object({
  /** Ids of the runs that completed, by their experiment's hash. */
  completed: z.record(z.string(), z.string()),
});

/**
 * Which runs of a series have completed, kept beside the run directories until all have: a series that was interrupted
 * does not run them again.
 */
export class SeriesProgress {
  private constructor(
    private readonly file: string,
    private completed: Readonly<Record<string, string>>,
  ) {}

  /** `settings`: what makes two series of the same runs different ones. */
  static async open(
    runs: string,
    plan: readonly PlannedRun[],
    settings: unknown,
    anew: boolean,
  ): Promise<SeriesProgress> {
    const hashes = plan.map(({ experiment }) => hashExperiment(experiment));
    const key = createHash('sha256')
      .update(canonicalJson([hashes, settings]))
      .digest('hex')
      .slice(0, 16);
    const progress = new SeriesProgress(path.join(runs, `.series-${key}.json`), {});
    if (anew) await progress.end();
    else progress.completed = await progress.read();
    return progress;
  }

  /** The id of the completed run; undefined where there is none. */
  runOf({ experiment }: PlannedRun): string | undefined {
    return this.completed[hashExperiment(experiment)];
  }

  async add({ experiment }: PlannedRun, id: string): Promise<void> {
    await withLock(`${this.file}.lock`, async () => {
      this.completed = { ...(await this.read()), [hashExperiment(experiment)]: id };
      await writeSealed(this.file, { completed: this.completed });
    });
  }

  /** Forgets the series: all of it has completed, or it is begun anew. */
  async end(): Promise<void> {
    await rm(this.file, { force: true });
    this.completed = {};
  }

  private async read(): Promise<Readonly<Record<string, string>>> {
    const content = await readSealed(this.file);
    return content === null || content === 'damaged' ? {} : (schema.safeParse(content).data?.completed ?? {});
  }
}
