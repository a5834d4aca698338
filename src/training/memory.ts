import type { Engine } from '../engines/engine.js';
import { type PeakMemory, peakOfSize } from '../engines/memory.js';
import type { Experiment } from '../recipe/experiment.js';
import { TrainingStep } from './step.js';

/** Steps after which each tensor that lives on is there: the first one makes the velocities. */
const STEPS = 2;

/**
 * What the tensors of a training step take, without computing it: the step itself runs on the engine's twin that knows
 * shapes only.
 * @param sizeHw [height, width] of the training crop.
 * @param images of a batch.
 */
export function trainingMemory(
  engine: Engine,
  experiment: Experiment,
  sizeHw: readonly [number, number],
  images: number,
): Promise<PeakMemory> {
  return peakOfSize(sizeHw, (divisor) =>
    engine.withShapes(async (twin) => {
      const [height, width] = sizeHw.map((side) => Math.ceil(side / divisor)) as [number, number];
      // The twin looks at the shapes only.
      const batch = { count: images, height, width, images: new Float32Array(), labels: new Int32Array(), names: [] };
      const step = new TrainingStep(twin, experiment);
      try {
        const { parameters } = step.segmentor;
        for (const { path, shape } of parameters.specs) parameters.set(path, twin.tf.fill([...shape], 0));
        step.resetPeak();
        for (let i = 0; i < STEPS; i++) await step.run(batch, 0);
        return { peakBytes: step.peakLiveBytes, addressedBytes: twin.addressedBytes() };
      } finally {
        step.dispose();
      }
    }),
  );
}
