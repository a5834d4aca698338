import { setTimeout as sleep } from 'node:timers/promises';
import { inspectRun } from '../../runs/inspect.js';
import type { RunState } from '../../runs/run-state.js';
import { UserError } from '../../support/errors.js';
import { bandAt, type Departure, departures } from './band.js';
import { formatDeparture } from './format.js';
import { refreshed, type Side } from './side.js';

export interface FollowOptions {
  /** The run; it may have ended already. */
  readonly run: Side;
  /** What its curve is compared with. */
  readonly reference: Side;
  readonly milliseconds: number;
  readonly signal: AbortSignal;
  /** Told what changes, a line at a time. */
  readonly say: (line: string) => void;
  /** Told once of each departure, when it begins. */
  readonly warn: (line: string) => void;
}

export interface Followed {
  readonly state: Exclude<RunState, 'running'>;
  /** The last iteration that was logged. */
  readonly iteration: number;
  readonly departures: readonly Departure[];
}

/**
 * Reads a run's log again and again while it trains, and warns where its loss leaves the band of the reference.
 * @returns When the run has ended.
 * @throws UserError where there is nothing to follow or to compare with; the signal's reason on abort.
 */
export async function follow({ run, reference, milliseconds, signal, say, warn }: FollowOptions): Promise<Followed> {
  const noCurve = reference.log?.reading.noCurve ?? null;
  if (noCurve !== null) {
    throw new UserError(
      `${reference.label} has no curve to follow: ${noCurve}.`,
      'Name a log that is whole, or a run.',
    );
  }
  if (bandAt(reference.curve, 0) === null) {
    throw new UserError(
      `${reference.label} has ${reference.curve.length} lines of loss: too few to follow.`,
      "Compare with the file of the row's published log, with published, or with a run that has a log.",
    );
  }
  let warned = 0;
  let iteration = -1;
  for (;;) {
    // Before the log: what a run logs last is not missed.
    const state = run.run?.directory ? (await inspectRun(run.run.directory)).state : 'unknown';
    const side = refreshed(run);
    const found = departures(side.curve, reference.curve);
    const last = side.curve.at(-1);
    if (last !== undefined && last.iteration !== iteration) {
      iteration = last.iteration;
      const band = bandAt(reference.curve, last.share)!;
      say(
        `iteration ${iteration}/${side.iterations}: loss ${last.loss.toFixed(4)}, ` +
          `expected ${band.low.toFixed(4)} to ${band.high.toFixed(4)}`,
      );
    }
    for (; warned < found.length; warned++) warn(formatDeparture(found[warned]!));
    const ended = { iteration: Math.max(iteration, 0), departures: found };
    if (state !== 'running') return { state, ...ended };
    await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
