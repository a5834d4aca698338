import test from 'ava';
import { fewerWindows } from '../../src/evaluation/window-memory.js';
import { countWindows, inferenceWindows, slideWindows } from '../../src/evaluation/windows.js';
import { resolve } from '../../src/recipe/resolve.js';
import fc from '../helpers/properties.js';

test('the published slide settings', (t) => {
  const cityscapes = slideWindows([1024, 2048], [769, 769], [513, 513]);
  t.deepEqual([...new Set(cityscapes.map(({ top }) => top))], [0, 255]);
  t.deepEqual([...new Set(cityscapes.map(({ left }) => left))], [0, 513, 1026, 1279]);
  t.is(cityscapes.length, 8);
  // Row by row.
  t.deepEqual(cityscapes[1], { top: 0, left: 513, height: 769, width: 769 });
});

test('an image smaller than the crop is one window of its own size', (t) => {
  t.deepEqual(slideWindows([300, 400], [480, 480], [320, 320]), [{ top: 0, left: 0, height: 300, width: 400 }]);
  t.is(slideWindows([480, 480], [480, 480], [320, 320]).length, 1);
});

test('the recipe decides between one window and many', (t) => {
  const slide = { mode: 'slide', cropHw: [769, 769], strideHw: [513, 513] } as const;
  t.deepEqual(inferenceWindows(slide, [1024, 2048]), slideWindows([1024, 2048], [769, 769], [513, 513]));
  const whole = { mode: 'whole', cropHw: null, strideHw: null } as const;
  t.deepEqual(inferenceWindows(whole, [5, 7]), [{ top: 0, left: 0, height: 5, width: 7 }]);
  t.deepEqual(countWindows(whole, [5, 7]), { count: 1, size: [5, 7] });
  t.throws(() => inferenceWindows({ ...whole, mode: 'slide' }, [5, 7]), { message: /cropHw/ });
  t.throws(() => countWindows({ ...whole, mode: 'slide' }, [5, 7]), { message: /cropHw/ });
});

const sizes = fc.record({
  size: fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 400 })),
  crop: fc.tuple(fc.integer({ min: 8, max: 128 }), fc.integer({ min: 8, max: 128 })),
  part: fc.tuple(fc.double({ min: 0.1, max: 1, noNaN: true }), fc.double({ min: 0.1, max: 1, noNaN: true })),
});

test('windows cover every pixel, stay inside and have the crop size if it fits', (t) => {
  fc.assert(
    fc.property(sizes, ({ size, crop, part }) => {
      const stride = [Math.ceil(crop[0] * part[0]), Math.ceil(crop[1] * part[1])] as const;
      const windows = slideWindows(size, crop, stride);
      const counted = countWindows({ mode: 'slide', cropHw: crop, strideHw: stride }, size);
      const [first] = windows;
      if (counted.count !== windows.length) return false;
      if (counted.size[0] !== first!.height || counted.size[1] !== first!.width) return false;
      const covered = new Uint8Array(size[0] * size[1]);
      for (const { top, left, height, width } of windows) {
        if (top < 0 || left < 0 || top + height > size[0] || left + width > size[1]) return false;
        if (height !== Math.min(crop[0], size[0]) || width !== Math.min(crop[1], size[1])) return false;
        for (let row = top; row < top + height; row++)
          covered.fill(1, row * size[1] + left, row * size[1] + left + width);
      }
      return covered.every((value) => value === 1);
    }),
    { numRuns: 100 },
  );
  t.pass();
});

test('there are as many windows as the grid formula says', (t) => {
  fc.assert(
    fc.property(sizes, ({ size, crop, part }) => {
      const stride = [Math.ceil(crop[0] * part[0]), Math.ceil(crop[1] * part[1])] as const;
      // Derived another way: windows until one reaches the end.
      const along = (length: number, window: number, step: number) => {
        let count = 1;
        for (let start = 0; start + window < length; start += step) count++;
        return count;
      };
      return (
        slideWindows(size, crop, stride).length ===
        along(size[0], crop[0], stride[0]) * along(size[1], crop[1], stride[1])
      );
    }),
  );
  t.pass();
});

test('of a stride of one pixel, memory is computed for a few windows, and the others are counted', (t) => {
  const { model } = resolve({ row: 'fcn_r50-d8_769x769_40k_cityscapes' });
  const recipe = { mode: 'slide', cropHw: [769, 769], strideHw: [1, 1] } as const;
  const size = [1024, 2048] as const;
  const fewer = fewerWindows(recipe, model, [size, [512, 1024]], 100);
  t.true(countWindows(fewer.recipe, size).count <= 64);
  const { count } = countWindows(recipe, size);
  t.is(count, 256 * 1280);
  // 97 rows of logits of each window.
  const ofWindow = 4 * 19 * 97 * 769;
  t.is(fewer.keptBytes, (count - countWindows(fewer.recipe, size).count) * ofWindow);
  const published = { ...recipe, strideHw: [513, 513] } as const;
  t.deepEqual(fewerWindows(published, model, [size], 100), { recipe: published, keptBytes: 0, stripBytes: 0 });
});
