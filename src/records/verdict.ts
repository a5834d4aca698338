import type { Table } from '../recipe/tables.js';
import { dependsOnHardware, type Figure } from './figures.js';
import type { Environment } from './record.js';

/** How far a figure may lie from the published one and count as reproduced. */
export interface FigureTolerance {
  /** In the figure's unit. */
  readonly value: number;
  /** Where it comes from. */
  readonly source: string;
}

/** Whether something was measured on a GPU whose name, as the driver gives it, holds this one: a V100 is one with either memory. */
export function measuredOn(card: string, { device, gpus }: Pick<Environment, 'device' | 'gpus'>): boolean {
  return device === 'gpu' && gpus[0]?.name.includes(card) === true;
}

/**
 * The tolerance that applies to a figure: of mIoU the table's, of memory and fps a share of the published figure.
 * @param environments Of all runs that the figure was measured by.
 * @returns Null where the two do not compare: no tolerance is known, or memory and fps are of other hardware.
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

/** What a reproduced figure says about the published one. */
export type Verdict = 'reproduced' | 'above' | 'below' | 'nothing published' | 'not run';

interface VerdictOptions {
  readonly published: number | null;
  readonly reproduced: number | null;
  /** How far the two may lie apart and count as the same, in their unit. */
  readonly tolerance: number;
}

/** Judges a figure of which more is better. */
export function judge({ published, reproduced, tolerance }: VerdictOptions): Verdict {
  if (reproduced === null) return 'not run';
  if (published === null) return 'nothing published';
  // Figures are printed with two decimals, so a difference that prints as the tolerance is within it.
  const difference = Math.round((reproduced - published) * 100) / 100;
  if (Math.abs(difference) <= tolerance) return 'reproduced';
  return difference > 0 ? 'above' : 'below';
}
