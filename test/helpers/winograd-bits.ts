/**
 * The bits of Winograd's convolutions and gradients in numbers. Run as a program it prints them as JSON: the number of threads and the
 * instruction set are a process's.
 */
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import type { Engine } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/selection.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { normals } from './numeric.js';

/** Hashes of a narrow and a wide layer's results, by path. */
export function sumsOfBits(engine: Engine): string[] {
  const { tf } = engine;
  const hashes: string[] = [];
  for (const path of ['F(2×2)', 'F(4×4)'] as const) {
    const kernels = tensorflowKernels(engine, { convolutionPath: () => path });
    for (const [inputs, outputs] of [
      [48, 80],
      [272, 96],
    ] as const) {
      tf.tidy(() => {
        const geometry = { stride: 1, dilation: 2, padding: 2 };
        const x = tf.tensor4d(normals(1, 2 * 15 * 17 * inputs), [2, 15, 17, inputs]);
        const filter = tf.tensor4d(normals(2, 9 * inputs * outputs), [3, 3, inputs, outputs]);
        const bias = tf.tensor1d(normals(3, outputs));
        const y = kernels.convolutionBias(x, filter, bias, geometry, true);
        const gradient = kernels.convolutionInputGradient(y, filter, [2, 15, 17, inputs], geometry);
        const filterGradient = kernels.convolutionFilterGradient(y, x, [3, 3, inputs, outputs], geometry);
        // bfloat16 is a matter of storage: any processor with the instructions for float32 can do it.
        const [half, halfResidual] = [kernels.cast(x, 'bf16'), kernels.cast(y, 'bf16')];
        const halfY = kernels.convolutionBias(half, filter, bias, geometry, true, halfResidual);
        const halfGradient = kernels.convolutionInputGradient(halfY, filter, [2, 15, 17, inputs], geometry);
        const read = [halfY, halfGradient].map((result) => kernels.cast(result, 'fp32'));
        for (const result of [y, gradient, filterGradient, ...read])
          hashes.push(createHash('sha256').update(result.dataSync()).digest('hex'));
      });
    }
  }
  return hashes;
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  const engine = await startEngine({ engine: 'tensorflow' });
  const { convolution } = engine;
  const bits = convolution === 'fast' ? sumsOfBits(engine) : null;
  process.stdout.write(JSON.stringify({ convolution, bits }));
}
