import { UserError } from '../support/errors.js';
import type { Asked, Entry, MeasuredNight } from './entry.js';

/** A part of a night and the file that it was read from. */
export interface Shard {
  readonly file: string;
  readonly entry: Entry;
}

/**
 * One night of what several machines, or one after the other, measured of it.
 * @throws UserError where they do not belong together: figures of two commits or engines are no night, nor is a figure that
 * two files hold.
 */
export function joinShards(shards: readonly Shard[]): MeasuredNight {
  const [first, ...rest] = shards;
  if (first === undefined)
    throw new UserError('There are no measurements to join.', 'Give at least one file that holds some.');
  for (const { file, entry } of rest) {
    for (const key of ['commit', 'version', 'engine'] as const) {
      if (entry[key] === first.entry[key]) continue;
      throw new UserError(
        `Measurements of two nights: ${key} ${first.entry[key]} in ${first.file}, and ${entry[key]} in ${file}.`,
        'Join measurements of one commit and one engine only.',
      );
    }
  }
  refuseRepetitions(shards);
  const entries = shards.map(({ entry }) => entry);
  return {
    ...first.entry,
    measurements: entries.flatMap(({ measurements }) => measurements),
    problems: entries.flatMap(({ problems }) => problems),
    leftOut: entries.flatMap(({ leftOut = [] }) => leftOut),
    asked: joinAsked(shards),
  };
}

/** A figure that is there twice would count twice in medians, and hide which of the two is meant. */
function refuseRepetitions(shards: readonly Shard[]): void {
  const seen = new Map<string, string>();
  for (const { file, entry } of shards) {
    for (const { quantity, subject } of entry.measurements) {
      const figure = `${quantity} of ${subject}`;
      const before = seen.get(figure);
      if (before !== undefined) {
        const where = before === file ? `twice in ${file}` : `in ${before} and in ${file}`;
        throw new UserError(`${figure} is ${where}.`, 'Give each file once, and each row to one shard.');
      }
      seen.set(figure, file);
    }
  }
}

function joinAsked(shards: readonly Shard[]): Asked {
  const asked = shards.map(({ file, entry }) => {
    if (entry.asked !== undefined) return entry.asked;
    throw new UserError(
      `${file} does not say what was to be measured.`,
      'Measure it again: fcn nightly --measure FILE.',
    );
  });
  const ofRows = asked.filter(({ parts }) => parts.includes('smoke')).map(({ rows }) => rows);
  return {
    parts: [...new Set(asked.flatMap(({ parts }) => parts))],
    rows: ofRows.includes(null) ? null : ofRows.flatMap((rows) => rows ?? []),
  };
}
