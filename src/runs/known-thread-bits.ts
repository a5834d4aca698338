import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Engine } from '../engines/engine.js';
import { describeProcessor } from '../engines/hardware.js';
import { hasThreads } from '../kernels/create.js';
import { computingThreads } from '../parallel/launched.js';
import { divideBatch } from '../parallel/shards.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { listNames } from '../support/format.js';
import { dependentOnThreads } from '../training/thread-bits.js';
import { KeptMeasurements } from './kept-measurements.js';

interface CheckOptions {
  readonly processes: number;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

/**
 * Which convolutions of a training in shards have other bits on another number of threads: weights then depend on that, too. It is computed
 * once for a machine, a network and a size, and then known from the cache; a note says what was found.
 * @returns their names; none if bits do not depend on threads, as they should not.
 */
export async function knownThreadBits(
  engine: Engine,
  experiment: Experiment,
  { processes, signal, note }: CheckOptions,
): Promise<string[]> {
  if (!hasThreads(engine)) return [];
  const { model, data, training, benchmark } = experiment;
  const { imagesOfShard } = divideBatch(training.batch, processes, benchmark.trainingBatch);
  const threads = computingThreads();
  const other = threads === 1 ? 2 : 1;
  const { processor } = describeProcessor();
  const machine = [engine.versions, engine.convolutionBuild, processor, threads, other];
  const kept = await KeptMeasurements.open('thread-bits.json', z.array(z.string()), machine);
  const network = { ...model, pretrained: null };
  const what = [network, data.cropHw, training.precision, imagesOfShard, [...engine.decidedPaths]];
  const key = createHash('sha256').update(JSON.stringify(what)).digest('hex');
  const known = kept.get(key);
  const found = known ?? (await dependentOnThreads(engine, experiment, imagesOfShard, other, signal));
  if (known === null) {
    await kept.add(key, found).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error;
      note(`What was found of bits and threads is not kept for later runs. ${error.message}`);
    });
  }
  if (found.length > 0) {
    note(
      `On this machine, weights depend on the number of threads: ${threads} and ${other} give other bits for ${listNames(found)}.`,
    );
  }
  return found;
}
