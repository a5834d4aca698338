import type { Engine } from '../engines/engine.js';
import type { EvaluateOrder } from '../evaluation/shared-evaluation.js';
import type { MeasureOrder } from '../measurement/scaling.js';
import type { Message } from '../parallel/messages.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { Processes } from '../parallel/processes.js';
import type { PredictOrder } from '../prediction/shared-prediction.js';
import type { TrainOrder } from '../training/orders.js';

/** The last order: process 0 has completed its command. */
export interface EndOrder extends Message {
  readonly kind: 'end';
  /** Exit code. */
  readonly code: number;
}

/**
 * Does what process 0 orders, until it has no more work. All checks, files and messages to the user are process 0's.
 * @returns the exit code.
 * @throws what the work throws; LostProcessError if another process is lost or has failed.
 */
export async function followOrders(
  engine: Engine,
  processes: Processes & { readonly group: ProcessGroup },
): Promise<number> {
  const { group } = processes;
  for (;;) {
    const order = await group.inbox.take();
    switch (order.kind) {
      case 'train': {
        const { followTraining } = await import('../training/follower.js');
        await followTraining(engine, processes, order as TrainOrder);
        break;
      }
      case 'evaluate': {
        const { followEvaluation } = await import('../evaluation/follower.js');
        await followEvaluation(engine, group, order as EvaluateOrder);
        break;
      }
      case 'predict': {
        const { followPrediction } = await import('../prediction/follower.js');
        await followPrediction(engine, group, order as PredictOrder);
        break;
      }
      case 'measure': {
        const { measureScaling, timedSteps } = await import('../measurement/scaling.js');
        const { experiment } = order as MeasureOrder;
        await measureScaling(engine, experiment, processes, timedSteps(experiment));
        break;
      }
      case 'end':
        return (order as EndOrder).code;
      default:
        throw new Error(`Process 0 has ordered "${order.kind}", which nobody here knows.`);
    }
  }
}
