import { countWindows } from '../evaluation/windows.js';
import { allConvolutions, architecture } from '../network/architecture.js';
import { complexity, convolutionFlops, convolutionParameters } from '../network/complexity.js';
import type { EvaluationRecipe, Experiment } from '../recipe/experiment.js';
import { formatCount } from '../support/format.js';
import { terminalTable } from '../terminal/layout.js';

/** Size and cost of one convolution with its bias or batch norm. Sizes are [height, width]. */
interface ConvolutionCost {
  /** Stem of its published state_dict keys. */
  readonly path: string;
  readonly kernel: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly stride: number;
  readonly dilation: number;
  /** Trained: the filter, and the bias or the batch norm's gamma and beta. */
  readonly parameters: number;
  /** Floating-point operations of one image's forward pass at the training crop: 2 · multiply-accumulates. */
  readonly flopsAtCrop: number;
  /** The same at the test size, over all windows; null in the auxiliary head, which only training uses. */
  readonly flopsAtTest: number | null;
}

/** The same for a part of the network. */
interface ModuleCost extends Pick<ConvolutionCost, 'parameters' | 'flopsAtCrop' | 'flopsAtTest'> {
  /** "stem", "layer1" to "layer4", "decode_head" or "auxiliary_head". */
  readonly module: string;
}

/** A network's parameters and operations, by module and by convolution. */
export interface NetworkCost {
  readonly cropHw: readonly [number, number];
  /** Of the image for inference (see `benchmarkSize`). */
  readonly testHw: readonly [number, number];
  /** Windows that cover it; 1 for whole inference. */
  readonly windows: number;
  readonly modules: readonly ModuleCost[];
  readonly total: Omit<ModuleCost, 'module' | 'flopsAtTest'> & { readonly flopsAtTest: number };
  readonly convolutions: readonly ConvolutionCost[];
}

/** "backbone.layer1.0.conv1" → "layer1"; the stem's convolutions have other names. */
function moduleOf(path: string): string {
  const [first, second] = path.split('.') as [string, string];
  if (first !== 'backbone') return first;
  return second.startsWith('layer') ? second : 'stem';
}

/** Parameters and operations of an experiment's network, by convolution and by module. */
export function networkCost({ model, data, evaluation }: Experiment): NetworkCost {
  const network = architecture(model);
  const testHw = benchmarkSize(evaluation);
  const { count: windows, size: windowHw } = countWindows(evaluation, testHw);
  const parameters = convolutionParameters(network);
  const atCrop = convolutionFlops(network, data.cropHw);
  const atWindow = convolutionFlops(network, windowHw);
  const convolutions = allConvolutions(network).map(({ path, kernel, inputChannels, outputChannels, geometry }) => ({
    path,
    kernel,
    inputChannels,
    outputChannels,
    stride: geometry.stride,
    dilation: geometry.dilation,
    parameters: parameters.get(path)!,
    flopsAtCrop: atCrop.get(path)!,
    flopsAtTest: path.startsWith('auxiliary_head.') ? null : windows * atWindow.get(path)!,
  }));
  const names = [...new Set(convolutions.map(({ path }) => moduleOf(path)))];
  return {
    cropHw: data.cropHw,
    testHw,
    windows,
    modules: names.map((module) => {
      const own = convolutions.filter(({ path }) => moduleOf(path) === module);
      const { parameters, flopsAtCrop, flopsAtTest } = sumOf(own);
      return { module, parameters, flopsAtCrop, flopsAtTest: own[0]!.flopsAtTest === null ? null : flopsAtTest };
    }),
    total: sumOf(convolutions),
    convolutions,
  };
}

function sumOf(convolutions: readonly ConvolutionCost[]): NetworkCost['total'] {
  const sum = (pick: (cost: ConvolutionCost) => number | null) =>
    convolutions.reduce((total, cost) => total + (pick(cost) ?? 0), 0);
  return {
    parameters: sum((cost) => cost.parameters),
    flopsAtCrop: sum((cost) => cost.flopsAtCrop),
    flopsAtTest: sum((cost) => cost.flopsAtTest),
  };
}

/** What the unit of all FLOPs is: programs differ by a factor of two. */
const FLOPS_UNIT = 'FLOPs: a multiply-add counts as two (mmsegmentation counts it as one).';

/** A table: a line for each module and their sum, after a line that says which sizes the columns refer to. */
export function formatNetworkCost({ cropHw, testHw, windows, modules, total }: NetworkCost): string {
  const line = (name: string, { parameters, flopsAtCrop, flopsAtTest }: Omit<ModuleCost, 'module'>) => [
    name,
    formatCount(parameters),
    formatCount(flopsAtCrop),
    flopsAtTest === null ? '–' : formatCount(flopsAtTest),
  ];
  const inWindows = windows === 1 ? '' : ` in ${windows} windows`;
  const table = terminalTable({
    head: ['Module', 'Parameters', 'FLOPs at the crop', 'FLOPs at the test size'],
    body: [...modules.map((cost) => line(cost.module, cost)), line('total', total)],
  });
  const sizes = `one image forward: the crop is ${cropHw.join('×')}, the test size ${testHw.join('×')}${inWindows}`;
  return `${sizes}\n${FLOPS_UNIT}\n${table}`;
}

const PHOTOGRAPH = 4 / 3;
const CITYSCAPES = 2;

/**
 * [height, width] of the image for measuring speed: one that the test scale's keep-ratio resize would give.
 *
 * A scale between 4:3 and 2:1 has the shape of the data set's own images (Cityscapes 2048×1024, CamVid 480×360) and is used as
 * it is. Other scales are boxes for images of any shape (ADE20K 2048×512, Pascal Context 520×520): there the image is a 4:3
 * photograph.
 */
export function benchmarkSize({
  imageScaleWh: [width, height],
}: Pick<EvaluationRecipe, 'imageScaleWh'>): [number, number] {
  const shape = width / height;
  if (shape >= PHOTOGRAPH && shape <= CITYSCAPES) return [height, width];
  const fitted = Math.min(width / PHOTOGRAPH, height);
  return [Math.round(fitted), Math.round(fitted * PHOTOGRAPH)];
}

/** [height, width] of that image's view at each ratio of the test scale. */
export function testViews(
  { imageScaleWh: [width, height] }: Pick<EvaluationRecipe, 'imageScaleWh'>,
  ratios: readonly number[],
): [number, number][] {
  return ratios.map((ratio) =>
    benchmarkSize({ imageScaleWh: [Math.floor(width * ratio), Math.floor(height * ratio)] }),
  );
}

/** Floating-point operations of the network on one image of size [height, width], over all windows of the row's inference. */
export function inferenceFlops(
  { model, evaluation }: Pick<Experiment, 'model' | 'evaluation'>,
  size: readonly [number, number],
): number {
  const { count, size: window } = countWindows(evaluation, size);
  return count * complexity(model, window).flops;
}
