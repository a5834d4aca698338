import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Program } from '../../engines/webgpu/program.js';
import { type BatchNormKernels, thenDispose } from '../kernels.js';
import {
  applyProgram,
  CHUNK_ROWS,
  chunkGradients,
  chunkMoments,
  chunkTotals,
  FEW_CHUNKS,
  inputGradientProgram,
  JOINING_THREADS,
  LANES,
  runningStatisticsProgram,
} from './batch-norm-programs.js';
import type { Programs } from './programs.js';

/** What gradients need besides their chunks. */
interface TotalsExtras {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly epsilon: number;
}

/** Runs a program over chunks of an image's pixels; gives its two results a chunk. */
function overChunks(programs: Programs, program: Program, inputs: readonly Tensor[], x: Tensor4D): [Tensor, Tensor] {
  const channels = x.shape[3];
  const rows = x.size / channels;
  const chunks = Math.ceil(rows / CHUNK_ROWS);
  const groups = channels / programs.widthOf(channels);
  const results: [Tensor, Tensor] = [programs.allocate([chunks, channels]), programs.allocate([chunks, channels])];
  const [along, folds] = programs.backend.foldedGrid(chunks);
  const grid = [Math.ceil(groups / LANES.channels), along, folds] as const;
  programs.run(program, [...inputs, ...results], { rows, groups }, grid);
  return results;
}

/** Joins chunks: two vectors of a value a channel. */
function totals(
  programs: Programs,
  of: 'moments' | 'gradients',
  chunks: readonly [Tensor, Tensor],
  x: Tensor4D,
  { inputs = [], outputs = [], epsilon = 0 }: Partial<TotalsExtras> = {},
): [Tensor1D, Tensor1D] {
  const channels = x.shape[3];
  const results: [Tensor1D, Tensor1D] = [programs.allocate([channels]), programs.allocate([channels])];
  const count = chunks[0].shape[0]!;
  const values = { rows: x.size / channels, channels, chunks: count, epsilon };
  const tensors = [...chunks, ...inputs, ...results, ...outputs];
  const threads = count <= FEW_CHUNKS ? 1 : JOINING_THREADS;
  const program = programs.get('chunkTotals', { of, threads } as const, chunkTotals);
  if (threads === 1) programs.runFlat(program, tensors, channels, values);
  else programs.run(program, tensors, values, programs.backend.foldedGrid(channels));
  return thenDispose(results, ...chunks);
}

/** Batch norm over N, H and W: one pass over memory for the statistics and one for the result; two for the gradient. */
export function webgpuBatchNormKernels(programs: Programs): BatchNormKernels {
  const optionsOf = (x: Tensor4D) => ({ type: programs.typeOf(x), width: programs.widthOf(x.shape[3]) });

  const batchNormApply: BatchNormKernels['batchNormApply'] = (
    x,
    { gamma, beta, epsilon },
    { mean, variance },
    { relu, residual },
  ) => {
    const options = { ...optionsOf(x), residual: residual !== undefined, relu };
    const result = programs.allocate<Tensor4D>(x.shape, options.type);
    const program = programs.get('batchNormApply', options, applyProgram);
    const inputs = [x, mean, variance, gamma, beta, ...(residual === undefined ? [] : [residual])];
    const groups = x.shape[3] / options.width;
    programs.runFlat(program, [...inputs, result], x.size / options.width, { groups, epsilon });
    return result;
  };

  return {
    batchNorm(x, normalisation, activation) {
      const chunks = overChunks(programs, programs.get('chunkMoments', optionsOf(x), chunkMoments), [x], x);
      const [mean, variance] = totals(programs, 'moments', chunks, x);
      const statistics = { mean, variance };
      return { y: batchNormApply(x, normalisation, statistics, activation), statistics };
    },

    batchNormApply,

    runningStatistics(running, batch, momentum, count) {
      const shape = running.mean.shape;
      const next = { mean: programs.allocate<Tensor1D>(shape), variance: programs.allocate<Tensor1D>(shape) };
      const unbiased = (momentum * count) / Math.max(count - 1, 1);
      const tensors = [running.mean, running.variance, batch.mean, batch.variance, next.mean, next.variance];
      const program = programs.get('runningStatistics', {}, runningStatisticsProgram);
      programs.runFlat(program, tensors, next.mean.size, { kept: 1 - momentum, momentum, unbiased });
      return thenDispose(next, running.mean, running.variance);
    },

    batchNormGradient(gradient, x, { gamma, epsilon }, { mean, variance }, y) {
      const options = { ...optionsOf(x), masked: y !== null };
      const mask = y === null ? [] : [y];
      const sums = programs.get('chunkGradients', options, chunkGradients);
      const chunks = overChunks(programs, sums, [gradient, x, mean, ...mask], x);
      const factors = programs.allocate([3, x.shape[3]]);
      const extras = { inputs: [variance, gamma], outputs: [factors], epsilon };
      const [betaGradient, gammaGradient] = totals(programs, 'gradients', chunks, x, extras);
      const result = programs.allocate<Tensor4D>(x.shape, options.type);
      const program = programs.get('batchNormGradient', options, inputGradientProgram);
      const inputs = [gradient, x, mean, factors, ...mask];
      const groups = x.shape[3] / options.width;
      programs.runFlat(program, [...inputs, result], x.size / options.width, { groups });
      factors.dispose();
      return { x: result, gamma: gammaGradient, beta: betaGradient };
    },
  };
}
