import type { Engine, ShapesEngine } from '../engines/engine.js';
import { type PeakMemory, peakOfSize } from '../engines/memory.js';
import { createKernels, PeakMeter } from '../kernels/create.js';
import { architecture } from '../network/architecture.js';
import { foldedNetwork } from '../network/inference.js';
import { parameterSpecs } from '../network/parameters.js';
import type { Experiment } from '../recipe/experiment.js';
import { Predictor } from './inference.js';

type Size = readonly [height: number, width: number];

export interface InferenceMemoryOptions {
  readonly experiment: Pick<Experiment, 'model' | 'training' | 'evaluation'>;
  /** The image's own size. */
  readonly size: Size;
  /** Of each view, before it is mirrored. */
  readonly views: readonly Size[];
  readonly flip: boolean;
  /** As of the predictor. */
  readonly stripElements?: number;
}

/**
 * What the tensors of predicting one image take, the folded weights included, without computing it: the predictor itself
 * runs on the engine's twin that knows shapes only.
 */
export function inferenceMemory(engine: Engine, options: InferenceMemoryOptions): Promise<PeakMemory> {
  const largest = [options.size, ...options.views].reduce((most, size) => (area(size) > area(most) ? size : most));
  return peakOfSize(largest, (divisor) => engine.withShapes((twin) => predictedOn(twin, options, divisor)));
}

function area([height, width]: Size): number {
  return height * width;
}

async function predictedOn(
  twin: ShapesEngine,
  { experiment, size, views, flip, stripElements }: InferenceMemoryOptions,
  divisor: number,
): Promise<PeakMemory> {
  const { model, training, evaluation: recipe } = experiment;
  const smaller = (sides: Size) => sides.map((side) => Math.ceil(side / divisor)) as [number, number];
  const meter = new PeakMeter(twin);
  const kernels = createKernels(twin, meter);
  const described = architecture(model);
  const specs = parameterSpecs(described);
  const shapes = new Map(specs.map(({ path, shape }) => [path, shape]));
  const source = (path: string) => twin.tf.fill([...shapes.get(path)!], 0);
  const network = foldedNetwork(twin.tf, kernels, described, source, training.precision);
  try {
    meter.reset();
    const predictor = new Predictor({
      engine: twin,
      kernels,
      network,
      recipe,
      ...(stripElements && { stripElements }),
    });
    await predictor.predict({
      size: smaller(size),
      flip,
      // The twin looks at the shapes only.
      views: views.map(smaller).map(([height, width], ratio) => ({ ratio, height, width, image: new Float32Array() })),
    });
    return { peakBytes: meter.bytes, addressedBytes: twin.addressedBytes() };
  } finally {
    network.dispose();
  }
}
