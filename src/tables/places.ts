import path from 'node:path';
import type { Execution } from '../runs/execute.js';

/** Columns of the label before a path. */
const LABEL = 9;

/** A path as short as it can be written here. */
function fromHere(file: string): string {
  const relative = path.relative(process.cwd(), file) || '.';
  return relative.length < file.length ? relative : file;
}

/** A path behind its label or, if that is too wide, below it, whole so that it can be copied. */
function placeLine(label: string, file: string, width: number): string {
  const line = (text: string) => `${label.padEnd(LABEL)}${text}`;
  if (line(file).length <= width) return line(file);
  const shorter = fromHere(file);
  return line(shorter).length <= width ? line(shorter) : `${label}\n  ${shorter}`;
}

/**
 * Where a run is, and its weights and record. Paths that are too long for `width` are told from the run directory, as far as they
 * are below it.
 * @param width Infinite where lines may have any length.
 */
export function formatPlaces(
  { directory, weights, kept }: Pick<Execution, 'directory' | 'weights' | 'kept'>,
  width: number,
): { readonly run: string; readonly weights: string | null; readonly record: string } {
  const isTooLong = (file: string) => LABEL + file.length > width;
  const inIt = (label: string, text: string) => `${label.padEnd(LABEL)}in it: ${text}`;
  const ofRun = weights === null ? null : path.relative(directory, weights);
  const isBelow = ofRun !== null && !ofRun.startsWith('..') && !path.isAbsolute(ofRun);
  return {
    run: placeLine('run', directory, width),
    weights:
      weights === null
        ? null
        : isBelow && isTooLong(weights)
          ? inIt('weights', ofRun)
          : placeLine('weights', weights, width),
    record: isTooLong(kept)
      ? inIt('record', `record.json; a copy is in ${fromHere(path.dirname(kept))}`)
      : placeLine('record', kept, width),
  };
}
