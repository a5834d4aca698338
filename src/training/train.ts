import { TrainingSession, type TrainOptions, type TrainResult } from './session.js';

/**
 * Trains a row from its starting weights, or from the newest whole checkpoint in the run directory, to its last iteration:
 * batches from the loader, one step each, a log line and a checkpoint at the recipe's intervals. A training that was
 * ended at any moment and resumed has the weights and the log of one that was not, but for the times and the memory of the
 * process in it.
 *
 * Checkpoints are written by a thread of their own from a copy in main memory, as large as weights and momentum together.
 * @throws NonFiniteError for a loss or gradient that is not finite, after a report; UserError for bad data or a folder that
 * cannot be written; InterruptedError on abort, after saving a checkpoint, or in the middle of a step that would take too
 * long: training resumes from the checkpoint before it then, as parameters may have moved already.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const session = await TrainingSession.open(options);
  try {
    await session.begin();
    while (session.done < session.iterations) {
      await session.step();
      await session.log();
      await session.listen();
      await session.save();
      await session.endIfInterrupted();
      await session.validate();
    }
    return await session.result();
  } finally {
    await session.close();
  }
}
