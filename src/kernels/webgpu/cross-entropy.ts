import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Program, UniformTypes } from '../../engines/webgpu/program.js';
import { declarations } from '../../engines/webgpu/wgsl.js';
import { type CrossEntropyKernels, thenDispose } from '../kernels.js';
import type { Programs } from './programs.js';

const THREADS = 64;
/** Threads that add up the workgroups' sums. */
const JOINING_THREADS = 256;

/**
 * A thread a pixel: with the largest logit z_max, the loss is log Σ exp(z − z_max) + z_max − z_label, its gradient
 * exp(z − z_max)/Σ − onehot(label). Each workgroup adds up its losses and hits in a tree.
 */
function pixelsProgram(): Omit<Program, 'name'> {
  const slots = [
    { name: 'logits', type: 'f32', access: 'read' },
    { name: 'labels', type: 'i32', access: 'read' },
    { name: 'gradient', type: 'f32', access: 'read_write' },
    { name: 'losses', type: 'f32', access: 'read_write' },
    { name: 'hits', type: 'i32', access: 'read_write' },
  ] as const;
  const parameters: UniformTypes = { size: 'u32', classes: 'u32', ignored: 'i32', share: 'f32' };
  const code = `${declarations(slots, parameters)}
var<workgroup> all_losses: array<f32, ${THREADS}>;
var<workgroup> all_hits: array<i32, ${THREADS}>;
struct Pixel { loss: f32, hit: i32 }

fn pixel(i: u32) -> Pixel {
  let label = load_labels(i);
  let first = i * p.classes;
  if (label == p.ignored) {
    for (var c = 0u; c < p.classes; c++) { store_gradient(first + c, 0.0); }
    return Pixel(0.0, 0);
  }
  var largest = load_logits(first);
  var predicted = 0u;
  for (var c = 1u; c < p.classes; c++) {
    let value = load_logits(first + c);
    if (value > largest) { largest = value; predicted = c; }
  }
  var sum = 0.0;
  for (var c = 0u; c < p.classes; c++) { sum += exp(load_logits(first + c) - largest); }
  for (var c = 0u; c < p.classes; c++) {
    let probability = exp(load_logits(first + c) - largest) / sum;
    store_gradient(first + c, (probability - f32(c == u32(label))) * p.share);
  }
  return Pixel(log(sum) + largest - load_logits(first + u32(label)), i32(predicted == u32(label)));
}

@compute @workgroup_size(${THREADS})
fn main(
  @builtin(global_invocation_id) thread: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread.x + thread.y * groups.x * ${THREADS}u;
  var own = Pixel(0.0, 0);
  if (i < p.size) { own = pixel(i); }
  all_losses[lane] = own.loss;
  all_hits[lane] = own.hit;
  for (var half = ${THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      all_losses[lane] += all_losses[lane + half];
      all_hits[lane] += all_hits[lane + half];
    }
  }
  let group = workgroup.x + workgroup.y * groups.x;
  if (lane == 0u && group * ${THREADS}u < p.size) {
    store_losses(group, all_losses[0]);
    store_hits(group, all_hits[0]);
  }
}`;
  return { slots, parameters, code };
}

interface TotalOptions {
  readonly type: 'f32' | 'i32';
}

/** The sum of a vector times a factor, by one workgroup, in a tree. */
function totalProgram({ type }: TotalOptions): Omit<Program, 'name'> {
  const slots = [
    { name: 'parts', type, access: 'read' },
    { name: 'result', type, access: 'read_write' },
  ] as const;
  const parameters: UniformTypes = { size: 'u32', factor: type };
  const code = `${declarations(slots, parameters)}
var<workgroup> sums: array<${type}, ${JOINING_THREADS}>;

@compute @workgroup_size(${JOINING_THREADS})
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = ${type}();
  for (var i = lane; i < p.size; i += ${JOINING_THREADS}u) { sum += load_parts(i); }
  sums[lane] = sum;
  for (var half = ${JOINING_THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { store_result(0u, sums[0] * p.factor); }
}`;
  return { slots, parameters, code };
}

/** Cross-entropy with an ignored label. Other labels must be in [0, classes); readers of data check that. */
export function webgpuCrossEntropyKernels(programs: Programs): CrossEntropyKernels {
  function total(parts: Tensor, type: 'f32' | 'i32', factor: number): Tensor {
    const result = programs.allocate([], type);
    const program = programs.get('total', { type }, totalProgram);
    programs.run(program, [parts, result], { size: parts.size, factor }, [1, 1, 1]);
    return thenDispose(result, parts);
  }

  return {
    crossEntropy(logits, labels, ignoreIndex) {
      const pixels = labels.size;
      const groups = Math.ceil(pixels / THREADS);
      const gradient = programs.allocate<Tensor4D>(logits.shape);
      const losses = programs.allocate([groups]);
      const hits = programs.allocate([groups], 'i32');
      const values = { size: pixels, classes: logits.shape[3], ignored: ignoreIndex, share: 1 / pixels };
      const program = programs.get('crossEntropy', {}, pixelsProgram);
      programs.run(program, [logits, labels, gradient, losses, hits], values, programs.backend.foldedGrid(groups));
      return { loss: total(losses, 'f32', 1 / pixels), correct: total(hits, 'i32', 1), gradient };
    },
  };
}
