import { availableParallelism } from 'node:os';
import test from 'ava';
import type { OperationAttribute } from '../../src/engines/engine.js';
import { ResidentMemory } from '../../src/engines/tensorflow/resident.js';
import { scratchBytes } from '../../src/engines/tensorflow/scratch.js';

const MB = 2 ** 20;
const full = (...shape: number[]) => ({ shape, elementBytes: 4 });
const half = (...shape: number[]) => ({ shape, elementBytes: 2 });
const padded = (padding: 'SAME' | 'EXPLICIT'): OperationAttribute[] => [{ name: 'padding', type: 0, value: padding }];
const sizes = full(4);

/**
 * MB by which the process grew besides the outputs, in steps of fcn_r18-d8_512x1024_80k_cityscapes with TensorFlow 2.21 on two cores
 * (TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1, MALLOC_MMAP_THRESHOLD_=65536, so that all of it goes back to the system).
 */
const MEASURED = [
  ['Conv2D', 'SAME', [full(2, 64, 128, 512), full(3, 3, 512, 512)], full(2, 64, 128, 512), 8.9],
  ['Conv2D', 'SAME', [half(2, 64, 128, 512), half(3, 3, 512, 512)], half(2, 64, 128, 512), 4.3],
  ['Conv2DBackpropInput', 'EXPLICIT', [sizes, full(3, 3, 64, 128), full(2, 64, 128, 128)], full(2, 128, 256, 64), 18.6],
  ['Conv2DBackpropInput', 'SAME', [sizes, full(3, 3, 512, 512), full(2, 64, 128, 512)], full(2, 64, 128, 512), 8.9],
  [
    'Conv2DBackpropFilter',
    'EXPLICIT',
    [full(2, 128, 256, 64), sizes, full(2, 64, 128, 128)],
    full(3, 3, 64, 128),
    37.8,
  ],
  ['Conv2DBackpropFilter', 'EXPLICIT', [full(2, 512, 1024, 3), sizes, full(2, 256, 512, 32)], full(3, 3, 3, 32), 26.8],
  ['Conv2DBackpropFilter', 'SAME', [full(2, 64, 128, 256), sizes, full(2, 64, 128, 512)], full(3, 3, 256, 512), 4.4],
  ['Conv2DBackpropFilter', 'SAME', [half(2, 64, 128, 256), sizes, half(2, 64, 128, 512)], half(3, 3, 256, 512), 12.0],
  ['Conv2DBackpropFilter', 'SAME', [half(2, 256, 512, 32), sizes, half(2, 256, 512, 32)], half(3, 3, 32, 32), 15.9],
] as const;

for (const [name, padding, inputs, output, measured] of MEASURED) {
  const seen = `${name}, ${padding}, ${inputs.map(({ shape }) => shape.join('×')).join(' and ')}`;
  test(`the scratch of an operation is the ${measured} MB that were measured, or somewhat more: ${seen}`, (t) => {
    const { allocator, library } = scratchBytes(name, padded(padding), inputs, [output]);
    t.is(library, 0);
    // Up to 1.8 MB are the packing buffers of matrix products.
    t.true(allocator >= (measured - 2) * MB, `${allocator / MB} MB`);
    t.true(allocator <= 1.5 * measured * MB, `${allocator / MB} MB`);
  });
}

test('unfolded images do not fill more than a large cache', (t) => {
  const inputs = [full(16, 1024, 1024, 64), sizes, full(16, 512, 512, 128)] as const;
  const { allocator } = scratchBytes('Conv2DBackpropFilter', padded('EXPLICIT'), inputs, [full(3, 3, 64, 128)]);
  // One image: 512 · 512 pixels of 3 · 3 · 64 float32.
  t.is(allocator, 512 * 512 * 3 * 3 * 64 * 4);
});

test('the gradient of a max pool keeps the places of one image outside the allocator', (t) => {
  const pooled = full(2, 128, 256, 64);
  const scratch = scratchBytes(
    'FcnMaxPoolGradient',
    [],
    [pooled, full(2, 256, 512, 64), pooled],
    [full(2, 256, 512, 64)],
  );
  t.deepEqual(scratch, { allocator: 0, library: 128 * 256 * 64 * 4, kept: 0 });
  t.deepEqual(scratchBytes('Relu', [], [pooled], [pooled]), { allocator: 0, library: 0, kept: 0 });
});

/** MB of work memory of Winograd convolutions, in huge pages of 2 MB, with two threads. */
const WORK_MEMORY = [
  [4, 1, [1, 64, 128], 2048, 512, 60],
  [2, 1, [1, 64, 128], 2048, 512, 46],
  [4, 2, [1, 64, 128], 256, 256, 34],
  [4, 1, [1, 64, 128], 512, 128, 20],
  [4, 1, [2, 32, 64], 512, 2048, 42],
  [4, 4, [2, 32, 64], 512, 512, 42],
] as const;

for (const [tile, dilation, [images, height, width], inputs, outputs, measured] of WORK_MEMORY) {
  const layer = `F(${tile}×${tile}) of ${images}×${height}×${width}, ${inputs} to ${outputs}, dilation ${dilation}`;
  test(`the work memory of a Winograd convolution is what it takes, and is kept: ${layer}`, (t) => {
    const attributes = Object.entries({ tile, dilation }).map(([name, value]) => ({ name, type: 0, value }));
    const [x, y] = [full(images, height, width, inputs), full(images, height, width, outputs)];
    const filter = full(3, 3, inputs, outputs);
    for (const scratch of [
      scratchBytes('FcnWinogradConvolution', attributes, [x, filter], [y]),
      // The channels are exchanged, and the filter turned.
      scratchBytes('FcnWinogradInputGradient', attributes, [x, full(3, 3, outputs, inputs)], [y]),
    ]) {
      t.like(scratch, { allocator: 0, library: 0 });
      t.true(Math.abs(scratch.kept / MB - measured) <= 2, `${scratch.kept / MB} MB`);
    }
  });
}

test('the work memory of a narrow layer is a strip for each thread', (t) => {
  const attributes = Object.entries({ tile: 4, dilation: 1 }).map(([name, value]) => ({ name, type: 0, value }));
  const map = full(1, 128, 256, 64);
  const { kept } = scratchBytes('FcnWinogradConvolution', attributes, [map, full(3, 3, 64, 64)], [map]);
  t.is(kept, 4 * 36 * (64 * 64 + availableParallelism() * 28 * (272 + 64 + 16)));
});

test('kept scratch counts once, as the most that an operation needs', (t) => {
  const memory = new ResidentMemory();
  memory.scratch({ allocator: 0, library: 0, kept: 3000 });
  memory.scratch({ allocator: 0, library: 500, kept: 2000 });
  t.is(memory.peakBytes, 3500);
});

test('the work memory of a filter gradient holds a strip of both transforms and a block of their product', (t) => {
  const kept = (inputs: number, outputs: number, [height, width]: readonly [number, number]) => {
    const numbers = Object.entries({ tile: 4, dilation: 1 }).map(([name, value]) => ({ name, type: 0, value }));
    const images = [full(2, height, width, outputs), full(2, height, width, inputs)];
    return scratchBytes('FcnWinogradFilterGradient', numbers, images, [full(3, 3, inputs, outputs)]).kept;
  };
  const bytes = 36 * 4;
  // 2·32·64 tiles, in strips of 512.
  t.is(kept(64, 64, [128, 256]), bytes * (512 * 64 + 512 * 64 + 64 * 80));
  // 2·16·32 tiles; all of the gradient, in two sections of 256 channels.
  t.is(kept(512, 512, [64, 128]), bytes * (512 * 128 + 1024 * 256 + 128 * 272));
  t.true(kept(2560, 512, [97, 97]) < 65e6);
});
