import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { ElementType, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { flatProgram } from '../../engines/webgpu/wgsl.js';
import type { MaxPoolKernels } from '../kernels.js';
import type { Programs } from './programs.js';

interface PoolOptions {
  readonly type: ElementType;
}

const parameters: UniformTypes = {
  height: 'u32',
  width: 'u32',
  channels: 'u32',
  pooled_height: 'u32',
  pooled_width: 'u32',
};

/** Of a 3×3 window with stride 2 and padding 1: rows and columns 2y − 1 … 2y + 1. */
const FUNCTIONS = `
fn input_at(image: u32, y: i32, x: i32, channel: u32) -> u32 {
  return ((image * p.height + u32(y)) * p.width + u32(x)) * p.channels + channel;
}
fn is_inside(y: i32, x: i32) -> bool {
  return y >= 0 && x >= 0 && y < i32(p.height) && x < i32(p.width);
}`;

function poolProgram({ type }: PoolOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [
      { name: 'x', type, access: 'read' },
      { name: 'result', type, access: 'read_write' },
    ],
    parameters,
    functions: FUNCTIONS,
    body: `  let channel = i % p.channels;
  let pooled_x = i / p.channels % p.pooled_width;
  let pooled_y = i / p.channels / p.pooled_width % p.pooled_height;
  let image = i / p.channels / p.pooled_width / p.pooled_height;
  let y = 2 * i32(pooled_y);
  let x = 2 * i32(pooled_x);
  // The middle of a window is always inside.
  var largest = load_x(input_at(image, y, x, channel));
  for (var dy = -1; dy <= 1; dy++) {
    for (var dx = -1; dx <= 1; dx++) {
      if (is_inside(y + dy, x + dx)) { largest = max(largest, load_x(input_at(image, y + dy, x + dx, channel))); }
    }
  }
  store_result(i, largest);`,
  });
}

/** Each pixel of the input collects what it gets from the up to four windows that hold it, so nothing is added atomically. */
function poolGradientProgram({ type }: PoolOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [
      { name: 'gradient', type, access: 'read' },
      { name: 'x', type, access: 'read' },
      { name: 'y', type, access: 'read' },
      { name: 'result', type, access: 'read_write' },
    ],
    parameters,
    functions: `${FUNCTIONS}
/** Whether a pixel of a window before this place, in row-major order, equals the largest value. */
fn is_taken(image: u32, window: vec2i, place: vec2i, channel: u32, largest: f32) -> bool {
  for (var dy = -1; dy <= place.x; dy++) {
    for (var dx = -1; dx <= 1; dx++) {
      if (dy == place.x && dx >= place.y) { break; }
      let at = 2 * window + vec2i(dy, dx);
      if (is_inside(at.x, at.y) && load_x(input_at(image, at.x, at.y, channel)) == largest) { return true; }
    }
  }
  return false;
}`,
    body: `  let channel = i % p.channels;
  let x = i32(i / p.channels % p.width);
  let y = i32(i / p.channels / p.width % p.height);
  let image = i / p.channels / p.width / p.height;
  let value = load_x(i);
  var sum = 0.0;
  for (var window_y = y / 2; window_y <= min((y + 1) / 2, i32(p.pooled_height) - 1); window_y++) {
    for (var window_x = x / 2; window_x <= min((x + 1) / 2, i32(p.pooled_width) - 1); window_x++) {
      let at = ((image * p.pooled_height + u32(window_y)) * p.pooled_width + u32(window_x)) * p.channels + channel;
      let place = vec2i(y - 2 * window_y, x - 2 * window_x);
      if (load_y(at) == value && !is_taken(image, vec2i(window_y, window_x), place, channel, value)) {
        sum += load_gradient(at);
      }
    }
  }
  store_result(i, sum);`,
  });
}

/** Max pool 3×3, stride 2, padding 1, and its gradient. */
export function webgpuMaxPoolKernels(programs: Programs): MaxPoolKernels {
  const sizes = (x: Tensor4D, pooled: readonly [number, number]) => ({
    height: x.shape[1],
    width: x.shape[2],
    channels: x.shape[3],
    pooled_height: pooled[0],
    pooled_width: pooled[1],
  });
  return {
    maxPool(x) {
      const [images, height, width, channels] = x.shape;
      const pooled = [Math.ceil(height / 2), Math.ceil(width / 2)] as const;
      const type = programs.typeOf(x);
      const result = programs.allocate<Tensor4D>([images, ...pooled, channels], type);
      programs.runFlat(programs.get('maxPool', { type }, poolProgram), [x, result], result.size, sizes(x, pooled));
      return result;
    },
    maxPoolGradient(gradient, x, y) {
      const type = programs.typeOf(x);
      const result = programs.allocate<Tensor4D>(x.shape, type);
      const program = programs.get('maxPoolGradient', { type }, poolGradientProgram);
      programs.runFlat(program, [gradient, x, y, result], x.size, sizes(x, [y.shape[1], y.shape[2]]));
      return result;
    },
  };
}
