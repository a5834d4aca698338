import type { ConvolutionGeometry } from '../kernels/kernels.js';
import type { HeadRecipe, ModelRecipe } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';

/** One convolution; its filter is HWIO [kernel, kernel, input, output]. Paths are stems of the published state_dict keys. */
export interface ConvolutionSpec {
  /** "backbone.layer1.0.conv1": the filter is `<path>.weight`. */
  readonly path: string;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly kernel: number;
  readonly geometry: ConvolutionGeometry;
}

/** Convolution and batch norm: `normPath` is the stem of its weight, bias and running statistics. */
export interface UnitSpec extends ConvolutionSpec {
  readonly normPath: string;
}

/** A residual block: units in order (the last one without ReLU), and the projection of its input if shapes differ. */
export interface BlockSpec {
  /** "backbone.layer1.0". */
  readonly path: string;
  readonly units: readonly UnitSpec[];
  readonly downsample: UnitSpec | null;
}

export interface HeadSpec {
  /** The stage whose output this head takes. */
  readonly input: number;
  readonly convolutions: readonly UnitSpec[];
  /** Convolution of the input and the last convolution's output, concatenated in this order; null if there is none. */
  readonly concatenation: UnitSpec | null;
  /** 1×1 with a bias. */
  readonly classifier: ConvolutionSpec;
  readonly dropout: number;
  readonly lossWeight: number;
}

export interface Architecture {
  readonly stem: readonly UnitSpec[];
  readonly stages: readonly (readonly BlockSpec[])[];
  readonly decodeHead: HeadSpec;
  readonly auxiliaryHead: HeadSpec;
  readonly classes: number;
  readonly alignCorners: boolean;
}

const STAGE_BLOCKS = { 18: [2, 2, 2, 2], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3] } as const;
const PUBLISHED_WIDTH = 64;

function unit(
  path: string,
  normPath: string,
  [inputChannels, outputChannels]: readonly [number, number],
  kernel: number,
  { stride = 1, dilation = 1 } = {},
): UnitSpec {
  // Padding that keeps the size at stride 1: dilation·(kernel − 1)/2.
  const padding = (dilation * (kernel - 1)) / 2;
  return { path, normPath, inputChannels, outputChannels, kernel, geometry: { stride, dilation, padding } };
}

function stem(recipe: ModelRecipe): UnitSpec[] {
  const { width } = recipe;
  if (recipe.stem === '7x7') return [unit('backbone.conv1', 'backbone.bn1', [3, width], 7, { stride: 2 })];
  const half = width / 2;
  return [
    unit('backbone.stem.0', 'backbone.stem.1', [3, half], 3, { stride: 2 }),
    unit('backbone.stem.3', 'backbone.stem.4', [half, half], 3),
    unit('backbone.stem.6', 'backbone.stem.7', [half, width], 3),
  ];
}

/**
 * ResNet-18 blocks have stride and dilation on conv1 only (conv2 is plain); bottlenecks on the 3×3 convolution.
 * With `contractDilation` the first block of a dilated stage uses half the dilation.
 */
function stage(recipe: ModelRecipe, index: number, inputChannels: number): BlockSpec[] {
  const bottleneck = recipe.depth !== 18;
  const channels = recipe.width * 2 ** index;
  const outputChannels = bottleneck ? channels * 4 : channels;
  return Array.from({ length: STAGE_BLOCKS[recipe.depth][index]! }, (_, block) => {
    const path = `backbone.layer${index + 1}.${block}`;
    const first = block === 0;
    const stageDilation = recipe.dilations[index]!;
    const dilation = first && recipe.contractDilation && stageDilation > 1 ? stageDilation / 2 : stageDilation;
    const stride = first ? recipe.strides[index]! : 1;
    const input = first ? inputChannels : outputChannels;
    const units = bottleneck
      ? [
          unit(`${path}.conv1`, `${path}.bn1`, [input, channels], 1),
          unit(`${path}.conv2`, `${path}.bn2`, [channels, channels], 3, { stride, dilation }),
          unit(`${path}.conv3`, `${path}.bn3`, [channels, outputChannels], 1),
        ]
      : [
          unit(`${path}.conv1`, `${path}.bn1`, [input, channels], 3, { stride, dilation }),
          unit(`${path}.conv2`, `${path}.bn2`, [channels, channels], 3),
        ];
    const downsample =
      first && (stride !== 1 || input !== outputChannels)
        ? unit(`${path}.downsample.0`, `${path}.downsample.1`, [input, outputChannels], 1, { stride })
        : null;
    return { path, units, downsample };
  });
}

function head(path: string, recipe: HeadRecipe, model: ModelRecipe, stageChannels: readonly number[]): HeadSpec {
  const inputChannels = stageChannels[recipe.input]!;
  const channels = (recipe.channels * model.width) / PUBLISHED_WIDTH;
  const { dilation } = recipe;
  const convolutions = Array.from({ length: recipe.convolutions }, (_, i) => {
    const stem = `${path}.convs.${i}`;
    return unit(`${stem}.conv`, `${stem}.bn`, [i === 0 ? inputChannels : channels, channels], 3, { dilation });
  });
  const concatenation = recipe.concatenateInput
    ? // The heads' dilation does not apply here: conv_cat is a plain 3×3 convolution.
      unit(`${path}.conv_cat.conv`, `${path}.conv_cat.bn`, [inputChannels + channels, channels], 3)
    : null;
  const classifier: ConvolutionSpec = {
    path: `${path}.conv_seg`,
    inputChannels: channels,
    outputChannels: model.classes,
    kernel: 1,
    geometry: { stride: 1, dilation: 1, padding: 0 },
  };
  const { input, dropout, lossWeight } = recipe;
  return { input, convolutions, concatenation, classifier, dropout, lossWeight };
}

/**
 * A recipe's network as plain data: every convolution with its place in the published state_dict.
 * @throws UserError if the width gives channel counts that are not whole numbers.
 */
export function architecture(recipe: ModelRecipe): Architecture {
  const stages: BlockSpec[][] = [];
  const stageChannels: number[] = [];
  let channels = recipe.width;
  for (let index = 0; index < 4; index++) {
    stages.push(stage(recipe, index, channels));
    channels = recipe.width * 2 ** index * (recipe.depth === 18 ? 1 : 4);
    stageChannels.push(channels);
  }
  const result: Architecture = {
    stem: stem(recipe),
    stages,
    decodeHead: head('decode_head', recipe.decodeHead, recipe, stageChannels),
    auxiliaryHead: head('auxiliary_head', recipe.auxiliaryHead, recipe, stageChannels),
    classes: recipe.classes,
    alignCorners: recipe.alignCorners,
  };
  const broken = allConvolutions(result).find(
    (spec) => !Number.isInteger(spec.outputChannels) || spec.outputChannels < 1,
  );
  if (broken !== undefined) {
    throw new UserError(
      `model.width ${recipe.width} gives ${broken.outputChannels} channels at ${broken.path}; whole numbers are needed.`,
      'Choose a width such as 4, 8, 16, 32 or 64.',
    );
  }
  return result;
}

/** Every convolution of the network in state_dict order: backbone, decode head, auxiliary head. */
export function allConvolutions(network: Architecture): ConvolutionSpec[] {
  return [
    ...network.stem,
    ...network.stages.flat().flatMap(blockUnits),
    ...[network.decodeHead, network.auxiliaryHead].flatMap(headConvolutions),
  ];
}

/** The convolutions of inference: without those of the auxiliary head. The classifier comes last. */
export function inferenceConvolutions({ stem, stages, decodeHead }: Architecture): ConvolutionSpec[] {
  return [
    ...stem,
    ...stages.flat().flatMap(blockUnits),
    ...headConvolutions(decodeHead).filter(isUnit),
    decodeHead.classifier,
  ];
}

/** A block's units in state_dict order. */
export function blockUnits({ units, downsample }: BlockSpec): UnitSpec[] {
  return downsample === null ? [...units] : [...units, downsample];
}

export function isUnit(spec: ConvolutionSpec): spec is UnitSpec {
  return 'normPath' in spec;
}

/** A head's convolutions in state_dict order: the classifier comes first. */
export function headConvolutions(head: HeadSpec): ConvolutionSpec[] {
  return [head.classifier, ...head.convolutions, ...(head.concatenation ? [head.concatenation] : [])];
}

/** The values of a recipe on which the shapes of a backbone's parameters depend. */
const SIZES = ['depth', 'stem', 'width'] as const;

/** The sizes of a network that another one has differently, as overrides: `width=16`. */
export function otherSizes(network: ModelRecipe, other: ModelRecipe): string[] {
  return SIZES.filter((key) => network[key] !== other[key]).map((key) => `${key}=${network[key]}`);
}
