import path from 'node:path';
import test from 'ava';
import { convertCheckpoint } from '../../src/weights/convert-checkpoint.js';
import { readCheckpoint } from '../../src/weights/load.js';
import { writePytorch } from '../../src/weights/pickle-write.js';
import { temporaryFolder } from '../helpers/folder.js';

const MB = 2 ** 20;
const TENSORS = 100;
const ELEMENTS = MB / 2;
/** 200 MB of values, 2 MB in each tensor. */
const TOTAL = TENSORS * ELEMENTS * 4;

const arrayBuffers = () => process.memoryUsage().arrayBuffers;
const valuesOf = (index: number) => new Float32Array(ELEMENTS).fill(index);

test('a .pth of 200 MB is written, read and converted without a second copy in memory', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'weights.pth');
  const tensors = Array.from({ length: TENSORS }, (_, index) => ({
    name: `tensor${index}`,
    dtype: 'float32' as const,
    shape: [ELEMENTS],
    bytes: () => new Uint8Array(valuesOf(index).buffer),
  }));
  await writePytorch(file, tensors);

  const resident = () => process.resourceUsage().maxRSS * 1024;
  const start = resident();
  const converted = path.join(folder, 'weights.safetensors');
  await convertCheckpoint({ input: file, output: converted });
  // What was read and not collected yet counts, so that it is more than one tensor; but far from all of them.
  t.true(resident() - start < TOTAL / 2, `the conversion took ${resident() - start} bytes`);

  // Whatever is allocated on the way is counted, unless it was collected meanwhile: an upper bound needs no collection.
  const before = arrayBuffers();
  const peak = resident();
  const checkpoint = await readCheckpoint(file);
  const opened = arrayBuffers() - before;
  t.true(opened < MB, `${opened} bytes to open the file`);
  const held = [...checkpoint.tensors.values()].map((tensor) => tensor.toFloat32());
  const grown = arrayBuffers() - before;
  t.true(grown < TOTAL + 4 * MB, `${grown} bytes of arrays for ${TOTAL} bytes of values`);
  t.true(resident() - peak < TOTAL * 1.25, `reading took ${resident() - peak} bytes`);
  for (const [index, values] of held.entries()) {
    t.is(values[0], index);
    t.is(values.at(-1), index);
  }

  const { tensors: copies } = await readCheckpoint(converted);
  const last = `tensor${TENSORS - 1}`;
  t.true(Buffer.from(copies.get(last)!.bytes()).equals(checkpoint.tensors.get(last)!.bytes()));
  t.log({ grown, took: resident() - peak });
});
