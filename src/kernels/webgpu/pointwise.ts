import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { BufferSlot, ElementType, Program } from '../../engines/webgpu/program.js';
import { flatProgram, valueType } from '../../engines/webgpu/wgsl.js';
import type { LaterReadingKernels, PointwiseKernels } from '../kernels.js';
import { finitenessKernels } from './finiteness.js';
import type { Programs } from './programs.js';

const read = (name: string, type: ElementType, width: 1 | 4 = 1): BufferSlot => ({ name, type, width, access: 'read' });
const write = (name: string, type: ElementType, width: 1 | 4 = 1): BufferSlot => ({
  name,
  type,
  width,
  access: 'read_write',
});

interface EachOptions {
  readonly inputs: readonly ElementType[];
  readonly result: ElementType;
  readonly width: 1 | 4;
  /** Of `x0`, `x1`, … and `zero`, of the type `Value`. */
  readonly expression: string;
}

/** Each value of the result from the values at the same place. */
function eachProgram({ inputs, result, width, expression }: EachOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [...inputs.map((type, n) => read(`input${n}`, type, width)), write('result', result, width)],
    functions: `alias Value = ${valueType({ type: 'f32', width })};`,
    body: `  let zero = Value();
${inputs.map((_, n) => `  let x${n} = load_input${n}(i);`).join('\n')}
  store_result(i, ${expression});`,
  });
}

interface ScaleOptions {
  readonly type: ElementType;
  readonly width: 1 | 4;
}

/** [N, pixels, groups] · [N, groups]. */
function scaleProgram({ type, width }: ScaleOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [read('x', type, width), read('factors', 'f32', width), write('result', type, width)],
    parameters: { pixels: 'u32', groups: 'u32' },
    body: `  let image = i / (p.pixels * p.groups);
  store_result(i, load_x(i) * load_factors(image * p.groups + i % p.groups));`,
  });
}

interface MomentumOptions {
  readonly gradient: ElementType;
  readonly width: 1 | 4;
}

/** v′ = momentum·v + (factor·g + weightDecay·p); p′ = p − learningRate·v′, in place. */
function momentumProgram({ gradient, width }: MomentumOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [read('gradient', gradient, width), write('parameter', 'f32', width), write('velocity', 'f32', width)],
    parameters: { learning_rate: 'f32', momentum: 'f32', weight_decay: 'f32', gradient_factor: 'f32' },
    body: `  let parameter_now = load_parameter(i);
  let decayed = p.gradient_factor * load_gradient(i) + p.weight_decay * parameter_now;
  let moved = p.momentum * load_velocity(i) + decayed;
  store_velocity(i, moved);
  store_parameter(i, parameter_now - p.learning_rate * moved);`,
  });
}

/** The class of the largest value of a pixel, the first of equal ones. */
function argmaxProgram(): Omit<Program, 'name'> {
  return flatProgram({
    slots: [read('x', 'f32'), write('result', 'i32')],
    parameters: { channels: 'u32' },
    body: `  var largest = load_x(i * p.channels);
  var position = 0u;
  for (var channel = 1u; channel < p.channels; channel++) {
    let value = load_x(i * p.channels + channel);
    if (value > largest) { largest = value; position = channel; }
  }
  store_result(i, i32(position));`,
  });
}

function softmaxProgram(): Omit<Program, 'name'> {
  return flatProgram({
    slots: [read('x', 'f32'), write('result', 'f32')],
    parameters: { channels: 'u32' },
    body: `  let first = i * p.channels;
  var largest = load_x(first);
  for (var channel = 1u; channel < p.channels; channel++) { largest = max(largest, load_x(first + channel)); }
  var sum = 0.0;
  for (var channel = 0u; channel < p.channels; channel++) { sum += exp(load_x(first + channel) - largest); }
  for (var channel = 0u; channel < p.channels; channel++) {
    store_result(first + channel, exp(load_x(first + channel) - largest) / sum);
  }`,
  });
}

/** ReLU, addition, channels joined, cut and scaled, the SGD update, softmax and argmax. */
export function webgpuPointwiseKernels(programs: Programs): PointwiseKernels & LaterReadingKernels {
  const { tf, backend } = programs;

  function each<T extends Tensor>(name: string, inputs: readonly T[], expression: string, result?: ElementType): T {
    const types = inputs.map((input) => programs.typeOf(input));
    const [first] = inputs as readonly [T];
    const options = { inputs: types, result: result ?? types[0]!, width: programs.widthOf(first.size), expression };
    const output = programs.allocate<T>(first.shape, options.result);
    programs.runFlat(programs.get(name, options, eachProgram), [...inputs, output], first.size / options.width);
    return output;
  }

  return {
    ...finitenessKernels(programs),
    cast(x, precision) {
      if (precision === 'bf16') throw new Error('The webgpu engine computes in float32 and float16, not in bf16.');
      const type = precision === 'fp16' ? 'f16' : 'f32';
      if (type === 'f16' && !backend.hasHalf) throw new Error('This adapter has no float16.');
      return programs.typeOf(x) === type ? tf.clone(x) : each('cast', [x], 'Value(x0)', type);
    },
    relu: (x) => each('relu', [x], 'select(x0, zero, x0 <= zero)'),
    reluGradient([gradient, other], y) {
      const result =
        other === undefined
          ? each('reluGradient', [gradient, y], 'select(zero, x0, x1 > zero)')
          : each('reluGradient', [gradient, other, y], 'select(zero, x0 + x1, x2 > zero)');
      tf.dispose(other === undefined ? [gradient] : [gradient, other]);
      return result;
    },
    add: (a, b) => each('add', [a, b], 'x0 + x1'),
    concatenateChannels: (a, b) => tf.concat([a, b], 3),
    sliceChannels: (x, begin, size) => tf.slice4d(x, [0, 0, 0, begin], [-1, -1, -1, size]),
    scaleChannels(x, factors) {
      const [images, height, width, channels] = x.shape;
      const options = { type: programs.typeOf(x), width: programs.widthOf(channels) };
      const result = programs.allocate<Tensor4D>(x.shape, options.type);
      const values = { pixels: height * width, groups: channels / options.width };
      const size = images * values.pixels * values.groups;
      programs.runFlat(programs.get('scaleChannels', options, scaleProgram), [x, factors, result], size, values);
      return result;
    },
    momentumStep(parameter, gradient, velocity, { learningRate, momentum, weightDecay, gradientFactor = 1 }) {
      const options = { gradient: programs.typeOf(gradient), width: programs.widthOf(parameter.size) };
      const program = programs.get('momentumStep', options, momentumProgram);
      programs.runFlat(program, [gradient, parameter, velocity], parameter.size / options.width, {
        learning_rate: learningRate,
        momentum,
        weight_decay: weightDecay,
        gradient_factor: gradientFactor,
      });
      // The same memory, written in place, in new tensors.
      const result = { parameter: tf.clone(parameter), velocity: tf.clone(velocity) };
      tf.dispose([parameter, gradient, velocity]);
      return result;
    },
    argmax(x) {
      const [images, height, width, channels] = x.shape;
      const result = programs.allocate<Tensor3D>([images, height, width], 'i32');
      programs.runFlat(programs.get('argmax', {}, argmaxProgram), [x, result], result.size, { channels });
      return result;
    },
    softmax(x) {
      const channels = x.shape[3];
      const result = programs.allocate<Tensor4D>(x.shape);
      programs.runFlat(programs.get('softmax', {}, softmaxProgram), [x, result], x.size / channels, { channels });
      return result;
    },
  };
}
