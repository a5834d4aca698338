import path from 'node:path';
import { formatTrainedBy } from '../records/record.js';
import type { Execution } from '../runs/execute.js';
import { labelled, labelledPath } from '../terminal/layout.js';

/** A label, and blanks up to the text behind it. */
const head = (label: string) => label.padEnd(9);

/** A path as short as it can be written here. */
function fromHere(file: string): string {
  const relative = path.relative(process.cwd(), file) || '.';
  return relative.length < file.length ? relative : file;
}

/** The lines of a path, as it was given or, if that is too wide, as short as possible. */
function place(label: string, file: string, width: number): string[] {
  const fits = head(label).length + file.length <= width;
  return labelledPath(head(label), fits ? file : fromHere(file), width);
}

/**
 * Lines that say where a run is, its weights and its record. Paths that are too long for `width` are told from the run directory,
 * or as the run that the weights are of, as far as that is possible.
 * @param width Infinite where lines may have any length.
 */
export function formatPlaces(
  { directory, weights, kept, record }: Pick<Execution, 'directory' | 'weights' | 'kept' | 'record'>,
  width: number,
): { readonly run: string[]; readonly weights: string[]; readonly record: string[] } {
  const isTooLong = (file: string) => head('').length + file.length > width;
  return {
    run: place('run', directory, width),
    weights: weights === null ? [] : weightsLines(weights, directory, record, width),
    record: isTooLong(kept)
      ? [`${head('record')}in it: record.json; a copy is in ${fromHere(path.dirname(kept))}`]
      : place('record', kept, width),
  };
}

function weightsLines(
  weights: string,
  directory: string,
  { weights: used }: Execution['record'],
  width: number,
): string[] {
  const isTooLong = head('weights').length + weights.length > width;
  const inRun = path.relative(directory, weights);
  const isBelow = !inRun.startsWith('..') && !path.isAbsolute(inRun);
  if (isBelow && isTooLong) return [`${head('weights')}in it: ${inRun}`];
  const trainedBy = used?.trainedBy;
  if (trainedBy === undefined) return place('weights', weights, width);
  // The run and the iteration say which file it is.
  if (isTooLong) return labelled(head('weights'), `of ${formatTrainedBy(trainedBy)}`, width);
  return [...place('weights', weights, width), ...labelled(head('of'), formatTrainedBy(trainedBy), width)];
}
