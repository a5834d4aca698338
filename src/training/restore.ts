import type { Engine } from '../engines/engine.js';
import { loadParameters, toEngine } from '../nn/load.js';
import { UserError } from '../support/errors.js';
import { readCheckpoint } from '../weights/load.js';
import type { Checkpoint } from './checkpoint.js';
import type { TrainingStep } from './step.js';

/**
 * Puts a training step where a checkpoint was taken: every parameter, running statistic and velocity.
 * @throws UserError where the checkpoint is not of this network.
 */
export async function restoreStep(engine: Engine, step: TrainingStep, { files, progress }: Checkpoint): Promise<void> {
  const { missing, wrongShape } = await loadParameters(engine, step.segmentor, files.weights);
  const wrong = missing[0] ?? wrongShape[0]?.path;
  if (wrong !== undefined || progress === null) {
    throw new UserError(
      `${files.state} is no checkpoint of this recipe${wrong === undefined ? '' : ` (${wrong} does not fit)`}.`,
      'Start anew with --fresh.',
    );
  }
  const { tensors } = await readCheckpoint(files.optimizer);
  for (const [path, velocity] of tensors) step.optimizer.restore(path, toEngine(engine, velocity));
  step.skipped = progress.skippedSteps;
  step.skippedInARow = progress.skippedInARow;
}
