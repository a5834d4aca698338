import fs, { readdirSync, statSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import test from 'ava';
import { convertCheckpoint } from '../../src/weights/convert.js';
import { readCheckpoint, readCheckpointFrom } from '../../src/weights/load.js';
import { writePytorch } from '../../src/weights/pickle-write.js';
import { FileSource } from '../../src/weights/source.js';
import { temporaryFolder } from '../helpers/folder.js';

const TENSORS = 40;
const ELEMENTS = 2 ** 17;
/** Of one tensor: 0.5 MB. */
const BYTES = 4 * ELEMENTS;

async function writeTensors(file: string): Promise<void> {
  const tensors = Array.from({ length: TENSORS }, (_, index) => ({
    name: `tensor${index}`,
    dtype: 'float32' as const,
    shape: [ELEMENTS],
    bytes: () => new Uint8Array(new Float32Array(ELEMENTS).fill(index).buffer),
  }));
  await writePytorch(file, tensors);
}

test.serial('a conversion writes each tensor before it reads the next', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'weights.pth');
  await writeTensors(file);
  const converted = path.join(folder, 'converted', 'weights.safetensors');
  const written = () => {
    const parent = path.dirname(converted);
    const [name] = fs.existsSync(parent) ? readdirSync(parent) : [];
    return name === undefined ? 0 : statSync(path.join(parent, name)).size;
  };
  const { readSync } = fs;
  let read = 0;
  let mostHeld = 0;
  fs.readSync = ((...parameters: Parameters<typeof readSync>) => {
    const count = readSync(...parameters);
    read += count;
    mostHeld = Math.max(mostHeld, read - written());
    return count;
  }) as typeof readSync;
  syncBuiltinESMExports();
  t.teardown(() => {
    fs.readSync = readSync;
    syncBuiltinESMExports();
  });
  await convertCheckpoint({ input: file, output: converted });
  t.true(read >= TENSORS * BYTES, 'what was read was seen');
  // One tensor that is read and not yet written, and one that a write has not finished; names and shapes beside them.
  t.true(mostHeld <= 3 * BYTES, `${mostHeld} bytes read and not written`);

  const [original, copy] = [await readCheckpoint(file), await readCheckpoint(converted)];
  for (const [name, tensor] of original.tensors) {
    t.true(Buffer.from(copy.tensors.get(name)!.bytes()).equals(tensor.bytes()), name);
  }
});

test.serial('reading takes the values once, and before that only names and shapes', async (t) => {
  const file = path.join(await temporaryFolder(t), 'weights.pth');
  await writeTensors(file);
  const arrayBuffers = () => process.memoryUsage().arrayBuffers;
  // Nothing else runs meanwhile. Whatever is allocated on the way counts, unless it is collected: an upper bound needs no collection.
  const before = arrayBuffers();
  const { tensors } = readCheckpointFrom(new FileSource(file));
  const opened = arrayBuffers() - before;
  t.true(opened < BYTES, `${opened} bytes to open the file`);
  const held = [...tensors.values()].map((tensor) => tensor.toFloat32());
  const grown = arrayBuffers() - before;
  t.true(grown < (TENSORS + 1) * BYTES, `${grown} bytes of arrays for ${TENSORS * BYTES} bytes of values`);
  for (const [index, values] of held.entries()) t.deepEqual([values[0], values.at(-1)], [index, index]);
});
