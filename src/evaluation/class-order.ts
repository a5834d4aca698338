/** Orders of classes: as the data set lists them, by IoU with the highest first, or by name. */
export const CLASS_ORDERS = ['data-set', 'iou', 'name'] as const;
export type ClassOrder = (typeof CLASS_ORDERS)[number];

/** Classes in another order. By IoU, those without one come last; equal ones stay in the order of the data set. */
export function sortClasses<Class extends { readonly name: string; readonly iou: number | null }>(
  classes: readonly Class[],
  order: ClassOrder,
): Class[] {
  if (order === 'data-set') return [...classes];
  if (order === 'name') return [...classes].sort((a, b) => a.name.localeCompare(b.name, 'en'));
  return [...classes].sort((a, b) => (b.iou ?? -1) - (a.iou ?? -1));
}
