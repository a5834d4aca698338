import type { Night } from '../../src/nightly/history.js';

/** A night of one figure, in which nothing failed. */
export function makeNight(changes: Partial<Night> = {}): Night {
  return {
    format: 1,
    at: '2026-01-01T02:00:00.000Z',
    version: '0.1.0',
    commit: 'ab'.repeat(20),
    engine: 'wasm',
    measurements: [{ quantity: 'mIoU', subject: 'row', hardware: 'Processor 9000', value: 10 }],
    problems: [],
    asked: { parts: ['smoke'], rows: ['row'] },
    leftOut: [],
    failed: null,
    accepted: null,
    ...changes,
  };
}
