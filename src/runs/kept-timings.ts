import { z } from 'zod';
import type { Environment } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { packageVersion } from '../support/package.js';
import { KeptMeasurements, timeSettings } from './kept-measurements.js';

/** Seconds of a network's steps or images. */
const measurement = z.object({
  /** Rate of the bare convolution at that time, GFLOP/s. */
  gflops: z.number().positive(),
  /** To make the network, and what the first repetitions took in addition. */
  setUpSeconds: z.number().nonnegative(),
  /** One size, or two from small to large: operations of a repetition, and seconds of each. */
  sizes: z.array(z.object({ flops: z.number().positive(), seconds: z.array(z.number().positive()).min(1) })).min(1),
});
export type KeptTiming = z.infer<typeof measurement>;

/** What takes less is measured again. */
const KEPT_FROM_SECONDS = 0.5;

/** Measurements of earlier dry runs on this machine, with the same engine, convolutions, libraries, threads and version of this program. */
export class KeptTimings {
  private constructor(private readonly kept: KeptMeasurements<KeptTiming>) {}

  static async open({
    engine,
    device,
    convolution,
    versions,
    processor,
    cores,
    gpus,
  }: Environment): Promise<KeptTimings> {
    const libraries = [packageVersion(), engine, device, convolution, versions];
    const machine = [...libraries, processor, cores, gpus, timeSettings()];
    return new KeptTimings(await KeptMeasurements.open('timings.json', measurement, machine));
  }

  get file(): string {
    return this.kept.file;
  }

  get(key: string): KeptTiming | null {
    return this.kept.get(key);
  }

  /** Keeps a measurement that took some time. @throws UserError if it cannot. */
  async add(key: string, found: KeptTiming): Promise<void> {
    const took = found.sizes.flatMap(({ seconds }) => seconds).reduce((sum, one) => sum + one, 0);
    if (took >= KEPT_FROM_SECONDS) await this.kept.add(key, found);
  }

  /** As `add`, but says why it cannot instead of failing: a dry run needs no kept file. @returns null if it could. */
  async tryToAdd(key: string, found: KeptTiming): Promise<string | null> {
    try {
      await this.add(key, found);
      return null;
    } catch (error) {
      if (error instanceof UserError) return error.message;
      throw error;
    }
  }
}
