import type { Tensor } from '@tensorflow/tfjs-core';
import type { ElementType, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { declarations, valueType } from '../../engines/webgpu/wgsl.js';
import { type LaterReadingKernels, type PointwiseKernels, thenDispose } from '../kernels.js';
import type { Programs } from './programs.js';

const THREADS = 256;
/** Values, or groups of values, that a thread looks at, so that few workgroups add to the result. */
const VALUES = 8;

interface BitsOptions {
  readonly type: ElementType;
  readonly width: 1 | 4;
  /** The vector or scalar, from magnitudes `bits`, whose largest value counts; `ONE` and `NONE` are of its type. */
  readonly take: string;
}

/**
 * The largest of something over all values, as a 32-bit integer: in the order of integers, magnitudes of float32 compare as their bits do, and
 * atomic maxima of integers do not depend on their order. Bits, because drivers may take a comparison with NaN for one that is always
 * false, and drop a multiplication by 0.
 */
function bitsProgram({ type, width, take }: BitsOptions): Omit<Program, 'name'> {
  const slots = [
    { name: 'x', type, width, access: 'read' },
    { name: 'result', type: 'u32', access: 'read_write', atomic: true },
  ] as const;
  const parameters: UniformTypes = { size: 'u32' };
  const unsigned = valueType({ type: 'u32', width });
  const code = `${declarations(slots, parameters)}
const NONE = ${unsigned}(0u);
const ONE = ${unsigned}(1u);
var<workgroup> largest: atomic<u32>;

@compute @workgroup_size(${THREADS})
fn main(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let all = groups.x * groups.y * ${THREADS}u;
  if (lane == 0u) { atomicStore(&largest, 0u); }
  workgroupBarrier();
  var most = NONE;
  for (var i = thread.x + thread.y * groups.x * ${THREADS}u; i < p.size; i += all) {
    let bits = bitcast<${unsigned}>(load_x(i)) & ${unsigned}(0x7fffffffu);
    most = max(most, ${take});
  }
  let found = ${width === 4 ? 'max(max(most.x, most.y), max(most.z, most.w))' : 'most'};
  // Mostly there is nothing to find.
  if (found > 0u) { atomicMax(&largest, found); }
  workgroupBarrier();
  if (lane == 0u) {
    let all_found = atomicLoad(&largest);
    if (all_found > 0u) { atomicMax(&result[0], all_found); }
  }
}`;
  return { slots, parameters, code };
}

/** The exponent of values that are not finite has all its bits set. */
const INFINITY = 0x7f800000;
const IS_NOT_FINITE = `select(NONE, ONE, bits >= ONE * ${INFINITY}u)`;
const MAGNITUDE = `select(NONE, bits, bits <= ONE * ${INFINITY}u)`;

/** The float32 with these bits. */
const floatOf = (bits: number) => new Float32Array(Int32Array.of(bits).buffer)[0]!;

export function finitenessKernels(
  programs: Programs,
): Pick<PointwiseKernels, 'allFinite' | 'largestMagnitude' | 'readScalars'> & LaterReadingKernels {
  const { backend } = programs;

  /** One number for all tensors: [1], of 32 bits. */
  function over(name: string, take: string, tensors: readonly Tensor[]): Tensor {
    const result = programs.allocate([1], 'u32');
    backend.clear(result);
    for (const tensor of tensors) {
      const options = { type: programs.typeOf(tensor), width: programs.widthOf(tensor.size), take };
      const size = tensor.size / options.width;
      const grid = backend.foldedGrid(Math.ceil(size / (THREADS * VALUES)));
      programs.run(programs.get(name, options, bitsProgram), [tensor, result], { size }, grid);
    }
    return result;
  }

  const finite = (tensors: readonly Tensor[]) => over('allFinite', IS_NOT_FINITE, tensors);
  const magnitude = (x: Tensor) => over('largestMagnitude', MAGNITUDE, [x]);

  function readNow(result: Tensor): number {
    const [values] = backend.readAll([result]);
    return thenDispose(values![0]!, result);
  }

  async function readLater(result: Tensor): Promise<number> {
    try {
      const [value] = await result.data();
      return value!;
    } finally {
      result.dispose();
    }
  }

  return {
    allFinite: (tensors) => readNow(finite(tensors)) === 0,
    largestMagnitude: (x) => floatOf(readNow(magnitude(x))),
    allFiniteLater: async (tensors) => (await readLater(finite(tensors))) === 0,
    largestMagnitudeLater: async (x) => floatOf(await readLater(magnitude(x))),
    readScalars: (tensors) => backend.readAll(tensors).map((values) => values[0]!),
  };
}
