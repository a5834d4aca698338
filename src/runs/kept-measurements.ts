import path from 'node:path';
import { type ZodType, z } from 'zod';
import { readSealed, writeSealed } from '../support/json.js';
import { cacheDirectory } from '../support/package.js';

/** Variables on which times depend, besides the machine. */
const SETTINGS = /^(TF_NUM_|OMP_|KMP_|TF_ENABLE_ONEDNN|ONEDNN_|DNNL_|GOMP_|FCN_INSTRUCTIONS$)/;

/** Those that are set: names and values, in order. */
export function timeSettings(): [name: string, value: string | undefined][] {
  return Object.entries(process.env)
    .filter(([name]) => SETTINGS.test(name))
    .sort();
}

/** Measurements in a file in the cache, of this machine by name. The file has those of other machines and settings, too. */
export class KeptMeasurements<T> {
  private constructor(
    readonly file: string,
    private readonly machine: string,
    private readonly all: Record<string, Record<string, T>>,
  ) {}

  /**
   * Reads the file. What is damaged, or of another form, is measured again.
   * @param machine All that the measurements depend on, besides their names.
   */
  static async open<T>(
    name: string,
    measurement: ZodType<T>,
    machine: readonly unknown[],
  ): Promise<KeptMeasurements<T>> {
    const file = path.join(cacheDirectory(), name);
    const read = z.record(z.string(), z.record(z.string(), measurement)).safeParse(await readSealed(file));
    return new KeptMeasurements(file, JSON.stringify(machine), read.success ? read.data : {});
  }

  get(key: string): T | null {
    return this.all[this.machine]?.[key] ?? null;
  }

  /** Those of this machine. */
  entries(): ReadonlyMap<string, T> {
    return new Map(Object.entries(this.all[this.machine] ?? {}));
  }

  /** Keeps a measurement now, so that an interruption loses nothing. @throws UserError if it cannot; then it is not kept. */
  async add(key: string, found: T): Promise<void> {
    const all = { ...this.all, [this.machine]: { ...this.all[this.machine], [key]: found } };
    await writeSealed(this.file, all);
    Object.assign(this.all, all);
  }
}
