import path from 'node:path';
import { z } from 'zod';
import type { Environment } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { readSealed, writeSealed } from '../support/json.js';
import { cacheDirectory, packageVersion } from '../support/package.js';

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

/** Measurements by machine, then by network. */
const file = z.record(z.string(), z.record(z.string(), measurement));

/** What takes less is measured again. */
const KEPT_FROM_SECONDS = 0.5;

/** What else on a machine a time depends on. */
const SETTINGS = /^(TF_NUM_|OMP_|KMP_|TF_ENABLE_ONEDNN|ONEDNN_|DNNL_|GOMP_|FCN_INSTRUCTIONS$)/;

/** Measurements of earlier dry runs on this machine, with the same engine, convolutions, libraries, threads and version of this program. */
export class KeptTimings {
  private constructor(
    readonly file: string,
    private readonly machine: string,
    private readonly all: Record<string, Record<string, KeptTiming>>,
  ) {}

  /** Reads the file in the cache. What is damaged, or of another form, is measured again. */
  static async open({
    engine,
    device,
    convolution,
    versions,
    processor,
    cores,
    gpus,
  }: Environment): Promise<KeptTimings> {
    const place = path.join(cacheDirectory(), 'timings.json');
    const settings = Object.entries(process.env).filter(([name]) => SETTINGS.test(name));
    const machine = JSON.stringify([
      packageVersion(),
      engine,
      device,
      convolution,
      versions,
      processor,
      cores,
      gpus,
      settings.sort(),
    ]);
    const read = file.safeParse(await readSealed(place));
    return new KeptTimings(place, machine, read.success ? read.data : {});
  }

  get(key: string): KeptTiming | null {
    return this.all[this.machine]?.[key] ?? null;
  }

  /** Keeps a measurement that took some time, now, so that an interruption loses nothing. @throws UserError if it cannot. */
  async add(key: string, found: KeptTiming): Promise<void> {
    const took = found.sizes.flatMap(({ seconds }) => seconds).reduce((sum, one) => sum + one, 0);
    if (took < KEPT_FROM_SECONDS) return;
    this.all[this.machine] = { ...this.all[this.machine], [key]: found };
    await writeSealed(this.file, this.all);
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
