import type { RunCheck } from '../../runs/run-check.js';

/** What is wrong, and what to type instead. */
export const problem = (name: RunCheck['name'], text: string, ...next: readonly string[]): RunCheck => ({
  name,
  state: 'missing',
  text,
  next: next.length === 0 ? null : next.join('\n'),
});

/** What works, but not as one might expect. */
export const warning = (name: RunCheck['name'], text: string, next: string | null = null): RunCheck => ({
  name,
  state: 'warning',
  text,
  next,
});
