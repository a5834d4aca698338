import type { BufferSlot, ElementType, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { declarations, flatProgram, valueType } from '../../engines/webgpu/wgsl.js';

/** A workgroup's threads: neighbours along the channels, and rows of pixels. */
export const LANES = { channels: 16, rows: 16 } as const;
/** Pixels of a workgroup: each of its threads takes a few, one after the other. */
export const CHUNK_ROWS = 512;

export interface ChannelOptions {
  readonly type: ElementType;
  /** Channels at a time. */
  readonly width: 1 | 4;
}

const read = (name: string, type: ElementType, width: 1 | 4): BufferSlot => ({ name, type, width, access: 'read' });
const write = (name: string, type: ElementType, width: 1 | 4): BufferSlot => ({
  name,
  type,
  width,
  access: 'read_write',
});

interface ChunkProgram {
  readonly slots: readonly BufferSlot[];
  readonly value: string;
  /** Statements that sum up the rows of a thread, from `first` in steps of the lanes to before `last`, into `u` and `v` (and `count`). */
  readonly rows: string;
  /** Statements that join another thread's `u_other`, `v_other` (and `count_other`) to u and v. */
  readonly join: string;
}

/**
 * Sums over the pixels of a chunk, of each channel: a few one after the other in each thread, then in a tree. So no sum of float32 values is
 * long, and its order is fixed. Results are two vectors a chunk.
 */
function chunkProgram({ slots, value, rows, join }: ChunkProgram): Omit<Program, 'name'> {
  const parameters: UniformTypes = { rows: 'u32', groups: 'u32' };
  const threads = LANES.channels * LANES.rows;
  const code = `${declarations(slots, parameters)}
var<workgroup> u_all: array<${value}, ${threads}>;
var<workgroup> v_all: array<${value}, ${threads}>;
var<workgroup> count_all: array<f32, ${threads}>;

@compute @workgroup_size(${LANES.channels}, ${LANES.rows})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) lane: vec3u, @builtin(num_workgroups) all: vec3u) {
  let chunk = workgroup.y + workgroup.z * all.y;
  let group = workgroup.x * ${LANES.channels}u + lane.x;
  // Threads without a channel take the last one, and store nothing: all must reach the barriers.
  let channel = min(group, p.groups - 1u);
  let last = min(p.rows, (chunk + 1u) * ${CHUNK_ROWS}u);
  let first = min(last, chunk * ${CHUNK_ROWS}u + lane.y);
  let at_thread = lane.y * ${LANES.channels}u + lane.x;
  var u = ${value}();
  var v = ${value}();
  var count = 0.0;
${rows}
  u_all[at_thread] = u;
  v_all[at_thread] = v;
  count_all[at_thread] = count;
  for (var half = ${LANES.rows / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane.y < half) {
      let other = at_thread + half * ${LANES.channels}u;
      let u_other = u_all[other];
      let v_other = v_all[other];
      let count_other = count_all[other];
${join}
      u_all[at_thread] = u;
      v_all[at_thread] = v;
      count_all[at_thread] = count;
    }
  }
  if (lane.y == 0u && group < p.groups && chunk * ${CHUNK_ROWS}u < p.rows) {
    store_u_result(chunk * p.groups + group, u);
    store_v_result(chunk * p.groups + group, v);
  }
}`;
  return { slots, parameters, code };
}

/**
 * Joins the mean u and the sum of squared differences v of two parts (Chan, Golub and LeVeque, 1979). Nothing cancels where the mean is
 * much larger than the deviation.
 */
const JOIN_MOMENTS = `      let total = count + count_other;
      if (count_other > 0.0) {
        let difference = u_other - u;
        u += difference * (count_other / total);
        v += v_other + difference * difference * (count * count_other / total);
        count = total;
      }`;

/** Mean, and sum of squared differences from it, of each chunk. */
export function chunkMoments({ type, width }: ChannelOptions): Omit<Program, 'name'> {
  const value = valueType({ type: 'f32', width });
  return chunkProgram({
    slots: [read('x', type, width), write('u_result', 'f32', width), write('v_result', 'f32', width)],
    value,
    // The second reading comes from a cache.
    rows: `  for (var row = first; row < last; row += ${LANES.rows}u) {
    u += load_x(row * p.groups + channel);
    count += 1.0;
  }
  u /= max(count, 1.0);
  for (var row = first; row < last; row += ${LANES.rows}u) {
    let difference = load_x(row * p.groups + channel) - u;
    v += difference * difference;
  }`,
    join: JOIN_MOMENTS,
  });
}

export interface GradientOptions extends ChannelOptions {
  /** Whether the gradient passes only where y is positive. */
  readonly masked: boolean;
}

const masked = (value: string, width: 1 | 4) =>
  `select(${valueType({ type: 'f32', width })}(), ${value}, load_y(at) > ${valueType({ type: 'f32', width })}())`;

/** Sums of the gradient, and of its products with the centred input, of each chunk. */
export function chunkGradients({ type, width, masked: isMasked }: GradientOptions): Omit<Program, 'name'> {
  return chunkProgram({
    slots: [
      read('gradient', type, width),
      read('x', type, width),
      read('mean', 'f32', width),
      ...(isMasked ? [read('y', type, width)] : []),
      write('u_result', 'f32', width),
      write('v_result', 'f32', width),
    ],
    value: valueType({ type: 'f32', width }),
    rows: `  let centre = load_mean(channel);
  for (var row = first; row < last; row += ${LANES.rows}u) {
    let at = row * p.groups + channel;
    let passed = ${isMasked ? masked('load_gradient(at)', width) : 'load_gradient(at)'};
    u += passed;
    v += passed * (load_x(at) - centre);
  }`,
    join: `      u += u_other;
      v += v_other;`,
  });
}

interface TotalsOptions {
  /** Of what the chunks hold. */
  readonly of: 'moments' | 'gradients';
  /** Threads that join the chunks of one channel: 1, or a workgroup's. */
  readonly threads: 1 | typeof JOINING_THREADS;
}

/** Up to so many chunks a thread joins alone. */
export const FEW_CHUNKS = 16;
export const JOINING_THREADS = 64;

/**
 * Joins the chunks of each channel. Moments give mean and variance; gradients those of β and γ, and the factors of `inputGradientProgram`.
 */
export function chunkTotals({ of, threads }: TotalsOptions): Omit<Program, 'name'> {
  const isMoments = of === 'moments';
  const slots = [
    read('u_chunks', 'f32', 1),
    read('v_chunks', 'f32', 1),
    ...(isMoments ? [] : [read('variance', 'f32', 1), read('gamma', 'f32', 1)]),
    write('u_result', 'f32', 1),
    write('v_result', 'f32', 1),
    ...(isMoments ? [] : [write('factors', 'f32', 1)]),
  ];
  const join = isMoments ? JOIN_MOMENTS : '      u += u_other;\n      v += v_other;';
  const own = `  var u = 0.0;
  var v = 0.0;
  var count = 0.0;
  for (var chunk = lane; chunk < p.chunks; chunk += ${threads}u) {
    let u_other = load_u_chunks(chunk * p.channels + channel);
    let v_other = load_v_chunks(chunk * p.channels + channel);
    let count_other = f32(min(p.rows - chunk * ${CHUNK_ROWS}u, ${CHUNK_ROWS}u));
${join}
  }`;
  const moments = '  store_v_result(channel, v / f32(p.rows));';
  const gradients = `  let inverse = 1.0 / sqrt(load_variance(channel) + p.epsilon);
  store_v_result(channel, v * inverse);
  store_factors(channel, load_gamma(channel) * inverse);
  store_factors(p.channels + channel, u / f32(p.rows));
  store_factors(2u * p.channels + channel, inverse * (v * inverse) / f32(p.rows));`;
  const result = `  store_u_result(channel, u);\n${isMoments ? moments : gradients}`;
  const parameters: UniformTypes = { rows: 'u32', channels: 'u32', chunks: 'u32', epsilon: 'f32' };
  if (threads === 1) {
    return flatProgram({ slots, parameters, body: `  let channel = i;\n  let lane = 0u;\n${own}\n${result}` });
  }
  const code = `${declarations(slots, parameters)}
var<workgroup> u_all: array<f32, ${threads}>;
var<workgroup> v_all: array<f32, ${threads}>;
var<workgroup> count_all: array<f32, ${threads}>;

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) all: vec3u) {
  let channel = workgroup.x + workgroup.y * all.x;
  if (channel >= p.channels) { return; }
${own}
  u_all[lane] = u;
  v_all[lane] = v;
  count_all[lane] = count;
  for (var half = ${threads / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let u_other = u_all[lane + half];
      let v_other = v_all[lane + half];
      let count_other = count_all[lane + half];
${join}
      u_all[lane] = u;
      v_all[lane] = v;
      count_all[lane] = count;
    }
  }
  if (lane == 0u) {
${result}
  }
}`;
  return { slots, parameters, code };
}

export interface ApplyOptions extends ChannelOptions {
  readonly residual: boolean;
  readonly relu: boolean;
}

/** γ(x − mean)/√(variance + ε) + β, plus residual, and ReLU. */
export function applyProgram({ type, width, residual, relu }: ApplyOptions): Omit<Program, 'name'> {
  const zero = `${valueType({ type: 'f32', width })}()`;
  return flatProgram({
    slots: [
      read('x', type, width),
      ...['mean', 'variance', 'gamma', 'beta'].map((name) => read(name, 'f32', width)),
      ...(residual ? [read('residual', type, width)] : []),
      write('result', type, width),
    ],
    parameters: { groups: 'u32', epsilon: 'f32' },
    body: `  let c = i % p.groups;
  var value = (load_x(i) - load_mean(c)) * (load_gamma(c) / sqrt(load_variance(c) + p.epsilon)) + load_beta(c);
  ${residual ? 'value += load_residual(i);' : ''}
  ${relu ? `value = select(value, ${zero}, value <= ${zero});` : ''}
  store_result(i, value);`,
  });
}

/**
 * γ·r·(g − mean(g) − c·r²·mean(g·c)) with c = x − mean and r = 1/√(variance + ε); src/kernels/portable/pointwise.ts derives it. `factors` are, for
 * each channel, γ·r, mean(g) and r²·mean(g·c): together, because WebGPU promises only eight buffers.
 */
export function inputGradientProgram({ type, width, masked: isMasked }: GradientOptions): Omit<Program, 'name'> {
  return flatProgram({
    slots: [
      read('gradient', type, width),
      read('x', type, width),
      read('mean', 'f32', width),
      read('factors', 'f32', width),
      ...(isMasked ? [read('y', type, width)] : []),
      write('result', type, width),
    ],
    parameters: { groups: 'u32' },
    body: `  let at = i;
  let c = i % p.groups;
  let passed = ${isMasked ? masked('load_gradient(at)', width) : 'load_gradient(at)'};
  let slope = (load_x(i) - load_mean(c)) * load_factors(2u * p.groups + c);
  store_result(i, (passed - load_factors(p.groups + c) - slope) * load_factors(c));`,
  });
}

/** (1 − momentum)·running + momentum·batch, of mean and variance, for each channel; `unbiased` is the factor of the batch's variance. */
export function runningStatisticsProgram(): Omit<Program, 'name'> {
  return flatProgram({
    slots: [
      ...['running_mean', 'running_variance', 'mean', 'variance'].map((name) => read(name, 'f32', 1)),
      write('new_mean', 'f32', 1),
      write('new_variance', 'f32', 1),
    ],
    parameters: { kept: 'f32', momentum: 'f32', unbiased: 'f32' },
    body: `  store_new_mean(i, load_running_mean(i) * p.kept + load_mean(i) * p.momentum);
  store_new_variance(i, load_running_variance(i) * p.kept + load_variance(i) * p.unbiased);`,
  });
}
