/**
 * Kinds of kept records, and the folders under the results that hold them. `full`: figures that may stand beside published
 * ones; `smoke`: of the smoke profile; `local`: of a changed recipe, a row that nobody published, or synthetic data.
 */
export const KEPT_KINDS = ['full', 'smoke', 'local'] as const;
export type KeptKind = (typeof KEPT_KINDS)[number];
