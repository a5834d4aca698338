import type { Measurement, Quantity } from './entry.js';

/**
 * What a night is made of, in the order in which it is measured. `smoke`: every published row in small; `camvid`: real images,
 * where they are at hand.
 */
export const NIGHT_PARTS = ['startup', 'smoke', 'camvid', 'benchmark', 'kernels', 'parity'] as const;
export type NightPart = (typeof NIGHT_PARTS)[number];

export const CAMVID_ROW = 'camvid_r18-d8';

/** Of full width; the benchmark's subject is this row at another size. */
export const BENCHMARK_ROW = 'fcn_r50-d8_512x1024_40k_cityscapes';

/** What figures of the benchmark are of. `sizeHw`: [height, width] of the crop. */
export function benchmarkSubject(sizeHw: readonly [number, number]): string {
  return `${BENCHMARK_ROW} at ${sizeHw.join('x')}`;
}

const PART_OF: Partial<Record<Quantity, NightPart>> = { kernelCost: 'kernels', parity: 'parity', startup: 'startup' };

/** The part of a night that a figure is measured in. */
export function partOf({ quantity, subject }: Pick<Measurement, 'quantity' | 'subject'>): NightPart {
  const part = PART_OF[quantity];
  if (part !== undefined) return part;
  if (subject === CAMVID_ROW) return 'camvid';
  return subject.startsWith(`${BENCHMARK_ROW} at `) ? 'benchmark' : 'smoke';
}
