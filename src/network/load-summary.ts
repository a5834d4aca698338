import { z } from 'zod';

const names = z.array(z.string()).readonly();
const shape = z.array(z.int().min(0)).readonly();

/** How weights fit a network, as records have it: names by state_dict key, shapes as in files (filters OIHW). */
export const loadSummarySchema = z.object({
  /** Number of loaded tensors. */
  loaded: z.int().min(0),
  missing: names,
  unexpected: names,
  wrongShape: z.array(z.object({ path: z.string(), expected: shape, found: shape })).readonly(),
});
export type LoadSummary = z.output<typeof loadSummarySchema>;
