import { MEAN_RGB, STD_RGB } from '../../data/transforms/normalise.js';
import type { Architecture, BlockSpec, ConvolutionSpec } from '../../network/architecture.js';
import type { SharedWeights } from '../../network/inference.js';
import { float16FromFloat32 } from '../../weights/dtypes.js';
import { hwioToOihw, oihwShape } from '../../weights/tensor.js';
import { GraphBuilder } from './graph.js';
import { ELEMENT_TYPES, type OnnxGraph, type OnnxValue } from './model.js';

/** `normalised`: float32 [N,3,H,W], as the network takes it. `raw`: uint8 RGB [N,H,W,3], which the graph normalises. */
export const INPUTS = ['normalised', 'raw'] as const;
/** `logits`: float32 [N,classes,H,W] at the image's size. `classes`: the class of the highest logit, uint8 [N,H,W]. */
export const OUTPUTS = ['logits', 'classes'] as const;
/** How filters and biases are stored. Either way the graph computes in float32. */
export const WEIGHT_TYPES = ['float32', 'float16'] as const;

export interface GraphOptions {
  readonly input: (typeof INPUTS)[number];
  readonly output: (typeof OUTPUTS)[number];
  readonly weightType: (typeof WEIGHT_TYPES)[number];
  /** Size of the images: then a batch is one image. Null: any size and any batch. */
  readonly size: { readonly height: number; readonly width: number } | null;
}

const IMAGE = 'image';

/**
 * A network for inference as an ONNX graph of operator set 17: input `image`, one output named as `options.output` says.
 * @param weights Batch norm folded, in float32.
 * @throws UserError if a weight is too large for float16.
 */
export function networkGraph(
  name: string,
  architecture: Architecture,
  weights: SharedWeights,
  options: GraphOptions,
): OnnxGraph {
  const builder = new NetworkBuilder(architecture, weights, options);
  const input = builder.images();
  const logits = builder.logits(input);
  builder.output(builder.resize(logits));
  const { nodes, constants } = builder.graph;
  return {
    name,
    nodes,
    constants,
    inputs: [imageValue(options)],
    outputs: [outputValue(architecture.classes, options)],
  };
}

function imageValue({ input, size }: GraphOptions): OnnxValue {
  const [height, width] = size === null ? ['height', 'width'] : [size.height, size.width];
  const batch = size === null ? 'batch' : 1;
  return input === 'raw'
    ? { name: IMAGE, type: 'uint8', shape: [batch, height, width, 3] }
    : { name: IMAGE, type: 'float32', shape: [batch, 3, height, width] };
}

function outputValue(classes: number, { output, size }: GraphOptions): OnnxValue {
  const [height, width] = size === null ? ['height', 'width'] : [size.height, size.width];
  const batch = size === null ? 'batch' : 1;
  return output === 'classes'
    ? { name: output, type: 'uint8', shape: [batch, height, width] }
    : { name: output, type: 'float32', shape: [batch, classes, height, width] };
}

class NetworkBuilder {
  readonly graph = new GraphBuilder();
  private readonly weights: ReadonlyMap<string, SharedWeights[number]>;

  constructor(
    private readonly architecture: Architecture,
    weights: SharedWeights,
    private readonly options: GraphOptions,
  ) {
    this.weights = new Map(weights.map((folded) => [folded.path, folded]));
  }

  /** The normalised images, [N,3,H,W]. */
  images(): string {
    if (this.options.input === 'normalised') return IMAGE;
    const { graph } = this;
    const planes = graph.node('Transpose', 'image.planes', [IMAGE], { perm: [0, 3, 1, 2] });
    const values = graph.node('Cast', 'image.float32', [planes], { to: ELEMENT_TYPES.float32 });
    const mean = graph.floats('mean', [1, 3, 1, 1], Float32Array.from(MEAN_RGB));
    const factor = graph.floats(
      'inverse_std',
      [1, 3, 1, 1],
      Float32Array.from(STD_RGB, (std) => 1 / std),
    );
    return graph.node('Mul', 'image.normalised', [graph.node('Sub', 'image.centred', [values, mean]), factor]);
  }

  /** The decode head's logits before any resize. */
  logits(images: string): string {
    const { stem, stages, decodeHead } = this.architecture;
    let image = images;
    for (const unit of stem) image = this.convolution(unit, image, true);
    image = this.graph.node('MaxPool', 'backbone.maxpool', [image], {
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    });
    for (const block of stages.slice(0, decodeHead.input + 1).flat()) image = this.residualBlock(block, image);
    const features = image;
    for (const unit of decodeHead.convolutions) image = this.convolution(unit, image, true);
    if (decodeHead.concatenation !== null) {
      const joined = this.graph.node('Concat', 'decode_head.concatenation', [features, image], { axis: 1 });
      image = this.convolution(decodeHead.concatenation, joined, true);
    }
    return this.convolution(decodeHead.classifier, image, false);
  }

  /** Logits at the size of the images. */
  resize(logits: string): string {
    const { graph } = this;
    const attributes = {
      mode: 'linear',
      coordinate_transformation_mode: this.architecture.alignCorners ? 'align_corners' : 'half_pixel',
    };
    const isOutput = this.options.output === 'logits';
    return graph.node(
      'Resize',
      isOutput ? 'logits' : 'logits.resized',
      [logits, '', '', this.sizes(logits)],
      attributes,
    );
  }

  /** The graph's output. */
  output(logits: string): void {
    if (this.options.output === 'logits') return;
    const { graph } = this;
    const classes = graph.node('ArgMax', 'classes.int64', [logits], { axis: 1, keepdims: 0 });
    graph.node('Cast', 'classes', [classes], { to: ELEMENT_TYPES.uint8 });
  }

  /** The shape of the resized logits. */
  private sizes(logits: string): string {
    const { graph, architecture } = this;
    const { size, input } = this.options;
    if (size !== null) return graph.integers('logits.sizes', [1, architecture.classes, size.height, size.width]);
    const ofLogits = graph.node('Shape', 'logits.batch_and_classes', [logits], { start: 0, end: 2 });
    const first = input === 'raw' ? 1 : 2;
    const ofImages = graph.node('Shape', 'image.height_and_width', [IMAGE], { start: first, end: first + 2 });
    return graph.node('Concat', 'logits.sizes', [ofLogits, ofImages], { axis: 0 });
  }

  private residualBlock({ path, units, downsample }: BlockSpec, input: string): string {
    let image = input;
    for (const unit of units.slice(0, -1)) image = this.convolution(unit, image, true);
    image = this.convolution(units.at(-1)!, image, false);
    const identity = downsample === null ? input : this.convolution(downsample, input, false);
    return this.graph.node('Relu', path, [this.graph.node('Add', `${path}.sum`, [image, identity])]);
  }

  private convolution({ path, kernel, geometry }: ConvolutionSpec, image: string, relu: boolean): string {
    const { filter, filterShape, bias } = this.weights.get(path)!;
    const { stride, dilation, padding } = geometry;
    const inputs = [
      image,
      this.parameter(`${path}.weight`, oihwShape(filterShape), hwioToOihw(filter, filterShape)),
      this.parameter(`${path}.bias`, [bias.length], Float32Array.from(bias)),
    ];
    const output = this.graph.node('Conv', path, inputs, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      dilations: [dilation, dilation],
      pads: [padding, padding, padding, padding],
    });
    return relu ? this.graph.node('Relu', `${path}.relu`, [output]) : output;
  }

  /** A filter (OIHW) or bias as a float32 value of the graph. */
  private parameter(name: string, shape: readonly number[], values: Float32Array): string {
    if (this.options.weightType === 'float32') return this.graph.floats(name, shape, values);
    const halves = float16FromFloat32(values, name);
    const stored = this.graph.constant({
      ...{ name: `${name}.float16`, type: 'float16', shape },
      bytes: new Uint8Array(halves.buffer),
    });
    return this.graph.node('Cast', name, [stored], { to: ELEMENT_TYPES.float32 });
  }
}
