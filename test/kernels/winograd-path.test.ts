import test from 'ava';
import { cheapest } from '../helpers/winograd.js';

test('the 3×3 convolutions of a published network take the path with the fewest operations', (t) => {
  // The stages of R-50-D8 and its head, of an image of 512×1024.
  t.is(cheapest([256, 512], [32, 64], 1), 'F(4×4)');
  t.is(cheapest([128, 256], [64, 64], 1), 'F(4×4)');
  t.is(cheapest([64, 128], [256, 256], 2), 'F(4×4)');
  t.is(cheapest([64, 128], [512, 512], 4), 'F(4×4)');
  t.is(cheapest([64, 128], [2048, 512], 1), 'F(4×4)');
});

test('where tiles of 4×4 outputs would be mostly empty, smaller ones or none are used', (t) => {
  // The phases of dilation 12 have up to 6×11 pixels, then 2×2 and one.
  t.is(cheapest([64, 128], [512, 512], 12), 'F(4×4)');
  t.is(cheapest([24, 24], [512, 512], 12), 'F(2×2)');
  t.is(cheapest([12, 12], [512, 512], 12), 'direct');
});

test('where transforming the filter would take longer than what it saves, a convolution is direct', (t) => {
  t.is(cheapest([1, 1], [512, 512], 1), 'direct');
  t.is(cheapest([8, 8], [512, 512], 1), 'direct');
  t.is(cheapest([0, 5], [64, 64], 1), 'direct');
});

test('a convolution of other numbers of channels than multiples of 16 is direct', (t) => {
  t.is(cheapest([256, 512], [3, 64], 1), 'direct');
  t.is(cheapest([64, 128], [512, 19], 1), 'direct');
});

test('where the processor convolves 16 bits faster, fewer operations must make up for it', (t) => {
  const stages = [
    [[64, 128], [512, 512], 4],
    [[64, 128], [2048, 512], 1],
    [[128, 256], [32, 64], 1],
  ] as const;
  for (const [size, channels, dilation] of stages) {
    t.is(cheapest(size, channels, dilation, { halfSpeed: 2 }), 'F(4×4)');
    // With AMX no tile in float32 is fast enough.
    t.is(cheapest(size, channels, dilation, { halfSpeed: 8 }), 'direct');
  }
  // F(2×2) needs 0.44 of the operations.
  t.is(cheapest([24, 24], [512, 512], 12, { halfSpeed: 2 }), 'direct');
});
