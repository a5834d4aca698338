import type { Engine, ShapesEngine } from '../engines/engine.js';
import { type PeakMemory, peakOfSize } from '../engines/memory.js';
import { createKernels, PeakMeter } from '../kernels/create.js';
import { architecture } from '../network/architecture.js';
import { FoldedNetwork } from '../network/inference.js';
import { parameterSpecs } from '../network/parameters.js';
import type { Experiment } from '../recipe/experiment.js';
import { Predictor, STRIP_ELEMENTS, stripsOf } from './inference.js';
import { fewerWindows } from './window-memory.js';

type Size = readonly [height: number, width: number];

interface InferenceMemoryOptions {
  readonly experiment: Pick<Experiment, 'model' | 'training' | 'evaluation'>;
  /** The image's own size. */
  readonly size: Size;
  /** Of each view; mirrored views have the same. */
  readonly views: readonly Size[];
  readonly flip: boolean;
  /** See `PredictorOptions`. */
  readonly stripElements?: number | undefined;
}

/**
 * Memory of the tensors for predicting one image, folded weights included, without computing it: the predictor runs on the
 * engine's twin that knows shapes only.
 */
export function inferenceMemory(engine: Engine, options: InferenceMemoryOptions): Promise<PeakMemory> {
  const largest = [options.size, ...options.views].reduce((most, size) => (area(size) > area(most) ? size : most));
  return peakOfSize(largest, 1, (smaller) => engine.withShapes((twin) => predictedOn(twin, options, smaller.size)));
}

function area([height, width]: Size): number {
  return height * width;
}

async function predictedOn(
  twin: ShapesEngine,
  { experiment, size, views, flip, stripElements }: InferenceMemoryOptions,
  smaller: (size: Size) => Size,
): Promise<PeakMemory> {
  const { model, training, evaluation } = experiment;
  const [small, smallViews] = [smaller(size), views.map(smaller)];
  const [strip] = stripsOf(small, model.classes, stripElements ?? STRIP_ELEMENTS[twin.device]);
  const tallest = Math.max(...smallViews.map(([height]) => height));
  const stripRows = Math.ceil((strip!.to * tallest) / small[0]) + 1;
  const { recipe, keptBytes, stripBytes } = fewerWindows(evaluation, model, smallViews, stripRows);
  const meter = new PeakMeter(twin);
  const kernels = createKernels(twin, meter);
  const described = architecture(model);
  const specs = parameterSpecs(described);
  const shapes = new Map(specs.map(({ path, shape }) => [path, shape]));
  const source = (path: string) => twin.tf.fill([...shapes.get(path)!], 0);
  const network = new FoldedNetwork(twin.tf, kernels, described, source, training.precision);
  try {
    meter.reset();
    const predictor = new Predictor({ engine: twin, kernels, network, recipe, stripElements });
    await predictor.predict({
      size: small,
      flip,
      // The twin uses the shapes only.
      views: smallViews.map(([height, width], ratio) => ({ ratio, height, width, image: new Float32Array() })),
    });
    const added = (bytes: number | null) => (bytes === null ? null : bytes + keptBytes + stripBytes);
    return {
      peakBytes: meter.bytes + keptBytes,
      addressedBytes: added(twin.addressedBytes()),
      residentBytes: added(twin.residentBytes()),
    };
  } finally {
    network.dispose();
  }
}
