import type { Table } from '../recipe/tables.js';
import { dependsOnHardware, type Figure } from './figures.js';
import type { Environment } from './record.js';

/** How far a figure may be from the published one and still count as reproduced. */
export interface FigureTolerance {
  /** In the figure's unit. */
  readonly value: number;
  /** What the value is based on. */
  readonly source: string;
}

/** Whether the GPU's name, as the driver reports it, contains this one: "V100" matches either memory size. */
export function measuredOn(card: string, { device, gpus }: Pick<Environment, 'device' | 'gpus'>): boolean {
  return device === 'gpu' && gpus[0]?.name.includes(card) === true;
}

/**
 * The tolerance of a figure: the table's for mIoU, a share of the published figure for memory and fps.
 * @param environments Of all runs that measured the figure.
 * @returns Null if the figures are not comparable: no tolerance is known, or memory and fps are from other hardware.
 */
export function toleranceOf(
  { tolerance, hardware }: Pick<Table, 'tolerance' | 'hardware'>,
  figure: Figure,
  published: number,
  environments: readonly Environment[],
): FigureTolerance | null {
  if (!dependsOnHardware(figure)) {
    return tolerance && { value: tolerance[figure as 'mIoU' | 'mIoUMsFlip'], source: tolerance.reason };
  }
  if (hardware === null || !environments.every((one) => measuredOn(hardware.name, one))) return null;
  return { value: hardware.tolerance * published, source: hardware.reason };
}

export type Verdict = 'reproduced' | 'above' | 'below' | 'nothing published' | 'not run';

interface VerdictOptions {
  readonly published: number | null;
  readonly reproduced: number | null;
  /** Largest difference that counts as reproduced, in the figures' unit. */
  readonly tolerance: number;
}

/** Compares a reproduced figure with the published one. */
export function judge({ published, reproduced, tolerance }: VerdictOptions): Verdict {
  if (reproduced === null) return 'not run';
  if (published === null) return 'nothing published';
  // Rounded as printed: a difference that prints as the tolerance is within it.
  const difference = Math.round((reproduced - published) * 100) / 100;
  if (Math.abs(difference) <= tolerance) return 'reproduced';
  return difference > 0 ? 'above' : 'below';
}
