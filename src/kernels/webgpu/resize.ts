import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { ElementType, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { flatProgram } from '../../engines/webgpu/wgsl.js';
import { type ResizeKernels, thenDispose } from '../kernels.js';
import type { Programs } from './programs.js';

interface ResizeOptions {
  readonly type: ElementType;
  readonly alignCorners: boolean;
  readonly width: 1 | 4;
}

/**
 * The source of an output pixel as a fraction of whole numbers: positions in float32 would lose digits. Aligned: d·(in − 1)/(out − 1), else
 * ((2d + 1)·in − out)/(2·out), at least 0. The second neighbour's weight is exact before its division.
 */
function sourceFunction(alignCorners: boolean): string {
  const fraction = alignCorners
    ? `let numerator = d * (input - 1u);
  let denominator = max(output, 2u) - 1u;`
    : `let numerator = max((2u * d + 1u) * input, output) - output;
  let denominator = 2u * output;`;
  return `
struct Source { low: u32, high: u32, weight: f32 }
fn source_of(d: u32, input: u32, output: u32) -> Source {
  ${fraction}
  let low = min(numerator / denominator, input - 1u);
  return Source(low, min(low + 1u, input - 1u), f32(numerator - low * denominator) / f32(denominator));
}`;
}

/** Bilinear: low + (high − low)·weight along both axes. */
function resizeProgram({ type, alignCorners }: ResizeOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [
      { name: 'x', type, access: 'read' },
      { name: 'result', type: 'f32', access: 'read_write' },
    ],
    parameters: { height: 'u32', width: 'u32', output_height: 'u32', output_width: 'u32', channels: 'u32' },
    functions: sourceFunction(alignCorners),
    body: `  let channel = i % p.channels;
  let columns = source_of(i / p.channels % p.output_width, p.width, p.output_width);
  let rows = source_of(i / p.channels / p.output_width % p.output_height, p.height, p.output_height);
  let image = i / p.channels / p.output_width / p.output_height;
  let upper = (image * p.height + rows.low) * p.width;
  let lower = (image * p.height + rows.high) * p.width;
  let upper_left = load_x((upper + columns.low) * p.channels + channel);
  let upper_right = load_x((upper + columns.high) * p.channels + channel);
  let lower_left = load_x((lower + columns.low) * p.channels + channel);
  let lower_right = load_x((lower + columns.high) * p.channels + channel);
  let above = upper_left + (upper_right - upper_left) * columns.weight;
  let below = lower_left + (lower_right - lower_left) * columns.weight;
  store_result(i, above + (below - above) * rows.weight);`,
  });
}

const gradientParameters: UniformTypes = { input: 'u32', output: 'u32', inner: 'u32' };

/**
 * The gradient of a linear resize along one axis, of [outer, output, inner]: each input pixel collects from the output pixels whose source
 * it is a neighbour of. Those lie around its own position; the loop's ends are one too far at most, where weights are 0.
 */
function axisGradientProgram({ alignCorners, width }: ResizeOptions): Omit<Program, 'name'> {
  const [first, last] = alignCorners
    ? [
        '(max(at, 1u) - 1u) * (p.output - 1u) / max(p.input - 1u, 1u)',
        '(at + 1u) * (p.output - 1u) / max(p.input - 1u, 1u) + 2u',
      ]
    : [
        'max((2u * max(at, 1u) - 1u) * p.output / (2u * p.input), 1u) - 1u',
        '(2u * at + 3u) * p.output / (2u * p.input) + 2u',
      ];
  return flatProgram({
    slots: [
      { name: 'gradient', type: 'f32', width, access: 'read' },
      { name: 'result', type: 'f32', width, access: 'read_write' },
    ],
    parameters: gradientParameters,
    functions: sourceFunction(alignCorners),
    body: `  let inner = i % p.inner;
  let at = i / p.inner % p.input;
  let outer = i / p.inner / p.input;
  // Output pixels before the first source all read the first input pixel, those after the last one the last.
  let begin = select(${first}, 0u, at == 0u);
  let end = select(min(${last}, p.output), p.output, at + 1u == p.input);
  var sum = ${width === 4 ? 'vec4f()' : '0.0'};
  for (var d = begin; d < end; d++) {
    let source = source_of(d, p.input, p.output);
    var weight = 0.0;
    if (source.low == at) { weight += 1.0 - source.weight; }
    if (source.high == at) { weight += source.weight; }
    sum += weight * load_gradient((outer * p.output + d) * p.inner + inner);
  }
  store_result(i, sum);`,
  });
}

/** Bilinear resize and its gradient, in both alignment modes. */
export function webgpuResizeKernels(programs: Programs): ResizeKernels {
  /** Along one axis: [outer, output, inner] → [outer, input, inner], as an image of shape `shape`. */
  function axisGradient(
    gradient: Tensor4D,
    shape: readonly [number, number, number, number],
    { input, output, inner }: { readonly input: number; readonly output: number; readonly inner: number },
    alignCorners: boolean,
  ): Tensor4D {
    const result = programs.allocate<Tensor4D>(shape);
    const options = { type: 'f32', alignCorners, width: programs.widthOf(inner) } as const;
    const program = programs.get('resizeGradient', options, axisGradientProgram);
    const values = { input, output, inner: inner / options.width };
    programs.runFlat(program, [gradient, result], result.size / options.width, values);
    return result;
  }

  return {
    resizeBilinear(x, [height, width], alignCorners) {
      const [images, inputHeight, inputWidth, channels] = x.shape;
      const result = programs.allocate<Tensor4D>([images, height, width, channels]);
      const options = { type: programs.typeOf(x), alignCorners, width: 1 } as const;
      programs.runFlat(programs.get('resizeBilinear', options, resizeProgram), [x, result], result.size, {
        ...{ height: inputHeight, width: inputWidth, output_height: height, output_width: width, channels },
      });
      return result;
    },

    /** The resize is separable: its gradient is taken along the height, then along the width of what is left. */
    resizeBilinearGradient(gradient, [height, width], alignCorners) {
      const [images, outputHeight, outputWidth, channels] = gradient.shape;
      const rows = { input: height, output: outputHeight, inner: outputWidth * channels };
      const shorter = axisGradient(gradient, [images, height, outputWidth, channels], rows, alignCorners);
      const columns = { input: width, output: outputWidth, inner: channels };
      return thenDispose(axisGradient(shorter, [images, height, width, channels], columns, alignCorners), shorter);
    },
  };
}
