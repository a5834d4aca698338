import { hashExperiment } from '../../experiments/hash.js';
import type { KnownRun } from './find.js';

/** mIoU (a fraction, single scale) of the weights after an iteration. */
export interface AccuracyPoint {
  readonly iteration: number;
  readonly mIoU: number;
}

/** As checkpoints are named. */
const CHECKPOINT = /^iteration-(\d+)\./;

/**
 * What is known of a run's mIoU over its iterations: its own evaluations, while it trained and at the end, and evaluations of
 * its checkpoints by other runs. These are runs of the very same recipe and seed that were given weights named as checkpoints are.
 */
export function accuracyOverIterations(run: KnownRun, all: readonly KnownRun[]): AccuracyPoint[] {
  const trains = run.record?.weights?.source === 'trained';
  const points = new Map(run.validation.map(({ iteration, mIoU }) => [iteration, mIoU]));
  const hash = hashExperiment(run.experiment);
  for (const { record, experiment } of trains ? all : []) {
    const iteration = CHECKPOINT.exec(record?.weights?.file ?? '')?.[1];
    const evaluation = record?.details.evaluate;
    if (iteration === undefined || !evaluation || record?.weights?.source !== 'given') continue;
    if (experiment.row === run.experiment.row && hashExperiment(experiment) === hash) {
      points.set(Number(iteration), evaluation.mIoU);
    }
  }
  const own = run.record?.details.evaluate;
  if (own && trains) points.set(run.experiment.training.iterations, own.mIoU);
  return [...points].map(([iteration, mIoU]) => ({ iteration, mIoU })).sort((a, b) => a.iteration - b.iteration);
}
