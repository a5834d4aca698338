/** Everything that src/data/simd calls. Pointers are byte offsets in the module's memory. */
export { applyTable, changeHsv, normalise } from './colour';
export { hasEnded, inflate, prepareInflate, startInflate } from './inflate';
export { adler32, markValues, unfilter } from './png';
export { blendRows, countLabels, halveRows, sumColumns, takeLabels } from './resize';

/** The first byte that belongs to the caller. */
export function firstFree(): usize {
  return __heap_base;
}
