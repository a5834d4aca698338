import type { Table } from '../experiments/load.js';
import type { Environment } from '../runs/record.js';
import { dependsOnHardware, type Figure } from './figures.js';

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
