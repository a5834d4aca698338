import type { TrainOptions, TrainResult } from './options.js';
import { TrainingSession } from './session.js';

/**
 * Trains a row from its starting weights, or from the newest intact checkpoint in the run directory, to its last iteration:
 * one step for each batch, a log line and a checkpoint at the recipe's intervals. A training that was stopped at any moment
 * and resumed ends with the same weights and the same log, except for times and the memory of the process.
 *
 * A separate thread writes checkpoints from a copy in main memory, as large as weights and momentum together.
 * @throws NonFiniteError for a loss or gradient that is not finite, after a report; UserError for bad data or a folder that
 * cannot be written; InterruptedError on abort, after saving a checkpoint, or in the middle of a step that would take too
 * long: then training resumes from the checkpoint before, because some parameters have moved.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const session = await TrainingSession.open(options);
  try {
    await session.begin();
    while (session.done < session.iterations) {
      await session.step();
      await session.log();
      await session.checkForAbort();
      await session.save();
      await session.endIfInterrupted();
      await session.validate();
    }
    return await session.result();
  } finally {
    await session.close();
  }
}
