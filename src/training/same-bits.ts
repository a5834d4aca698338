import type { Engine } from '../engines/engine.js';
import type { Communicator } from '../parallel/communicator.js';
import { processName } from '../parallel/errors.js';
import { divideBatch } from '../parallel/shards.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { convolutionBits } from './convolution-bits.js';

/** So many hexadecimal digits of a hash are a whole number in float64. */
const DIGITS = 12;

/**
 * Has all processes of a training compute convolutions of its network on fixed images. All must call it.
 * @throws UserError if they compute different bits: they would train different networks.
 */
export async function requireSameBits(engine: Engine, group: Communicator, experiment: Experiment): Promise<void> {
  const { training, benchmark } = experiment;
  const { imagesOfShard } = divideBatch(training.batch, group.size, benchmark.trainingBatch);
  await compareBits(group, convolutionBits(engine, experiment, imagesOfShard));
}

/** @param bits Of this process: hashes in hexadecimal, by what was computed. @throws UserError if those of another process differ. */
export async function compareBits(group: Communicator, bits: ReadonlyMap<string, string>): Promise<void> {
  const names = [...bits.keys()];
  const own = [...bits.values()].map((hash) => Number.parseInt(hash.slice(0, DIGITS), 16));
  const all = await group.gatherNumbers(own);
  const different = all.findIndex((value, i) => value !== all[i % own.length]);
  if (different === -1) return;
  const other = processName(Math.floor(different / own.length), group.size);
  throw new UserError(
    `The processes of this run compute different bits: a ${names[different % own.length]} of ${other} is not that of process 0.`,
    'Use machines with the same processors, or set FCN_INSTRUCTIONS=avx2 for all.',
  );
}
