import type { Engine } from '../engines/engine.js';
import { isTrained } from '../network/parameters.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { TrainingStep } from './step.js';

/**
 * Gives process 0's parameters, running statistics and velocities to all. The other processes read no checkpoint and no backbone.
 * @param hasVelocities Whether process 0 has velocities; the same in all processes.
 */
export async function shareState(
  { tf }: Engine,
  group: ProcessGroup,
  { segmentor, optimizer }: TrainingStep,
  hasVelocities: boolean,
): Promise<void> {
  const { parameters } = segmentor;
  const isFirst = group.rank === 0;
  for (const { path, shape } of parameters.specs) {
    if (!isFirst) parameters.set(path, tf.zeros([...shape]));
    await group.broadcast(parameters.get(path));
  }
  if (!hasVelocities) return;
  for (const { path, kind, shape } of parameters.specs) {
    if (!isTrained(kind)) continue;
    if (!isFirst) optimizer.restore(path, tf.zeros([...shape]));
    await group.broadcast(optimizer.state().get(path)!);
  }
}
