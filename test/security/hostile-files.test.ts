import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { decodeLabels, decodeRgb } from '../../src/data/decode.js';
import { pngChunk } from '../../src/data/png-encode.js';
import { PngError, readIndices, SIGNATURE } from '../../src/data/png-read.js';
import { encodePng } from '../../src/data/png-write.js';
import { labelMatrix, writeMatlab } from '../../src/datasets/generate/raw/matlab-write.js';
import { MatlabError, readMatlab } from '../../src/datasets/prepare/matlab-read.js';
import { unpackWheel } from '../../src/engines/tensorflow/wheel.js';
import { runTool } from '../../src/engines/tool.js';
import { parseNpy } from '../../src/parity/reference-set.js';
import { UserError } from '../../src/support/errors.js';
import { packageRoot } from '../../src/support/package.js';
import { temporaryFolder } from '../helpers/folder.js';
import fc from '../helpers/properties.js';
import { writeWheel } from '../helpers/wheel.js';

/** Bytes that reading a file of a few kilobytes may take at most, whatever it claims. */
const MOST_BYTES = 64 * 2 ** 20;

/** Bytes in array buffers that `read` added, while what it returned or threw still lives. */
function taken(read: () => unknown): number {
  const before = process.memoryUsage().arrayBuffers;
  try {
    read();
  } catch (error) {
    if (!(error instanceof UserError || error instanceof PngError || error instanceof MatlabError)) throw error;
  }
  return process.memoryUsage().arrayBuffers - before;
}

/** A PNG whose header claims a size. */
function claiming(width: number, height: number, colourType: 0 | 2, data: Uint8Array): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = colourType;
  const chunks = [pngChunk('IHDR', header), pngChunk('IDAT', data), pngChunk('IEND', new Uint8Array(0))];
  return Buffer.concat([SIGNATURE, ...chunks]);
}

test('an image header that claims gigabytes is refused before they are taken', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'claim.png');
  for (const [width, height] of [
    [2 ** 31 - 1, 2 ** 31 - 1],
    [100_000, 100_000],
    [16_000, 16_000],
  ] as const) {
    const labels = claiming(width, height, 0, new Uint8Array(100));
    t.true(taken(() => readIndices(labels)) < MOST_BYTES);
    await writeFile(file, labels);
    await t.throwsAsync(decodeLabels(file), {
      instanceOf: UserError,
      message: /claim\.png: .*(too little|expected at most)/,
    });
    await writeFile(file, claiming(width, height, 2, new Uint8Array(100)));
    await t.throwsAsync(decodeRgb(file), { instanceOf: UserError, message: /claim\.png: the image cannot be decoded/ });
  }
});

test('damaged label maps, MAT-files and arrays are read or refused in memory that fits the file', async (t) => {
  const png = await encodePng(
    new Uint8Array(64),
    { height: 8, width: 8 },
    { colourType: 'grey', filter: 'none', level: 9 },
  );
  const matlab = writeMatlab({ LabelMap: labelMatrix({ height: 4, width: 4, data: new Uint16Array(16) }, 'uint16') });
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  const npy = Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
    Buffer.from([header.length, 0]),
    Buffer.from(header),
    Buffer.alloc(24),
  ]);
  const readers: [Uint8Array, (bytes: Buffer) => unknown][] = [
    [png, readIndices],
    [matlab, readMatlab],
    [npy, (bytes) => parseNpy(bytes, 'x.npy')],
  ];
  for (const [original, read] of readers) {
    t.notThrows(() => read(Buffer.from(original)));
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
        const damaged = Buffer.from(original);
        damaged.set(bytes.subarray(0, damaged.length - at), at);
        return taken(() => read(damaged)) < MOST_BYTES;
      }),
      { numRuns: 300 },
    );
  }
});

test('a wheel writes nothing outside its folder', async (t) => {
  const folder = await temporaryFolder(t);
  const wheel = path.join(folder, 'x.whl');
  for (const name of ['../outside.so', 'a/../../outside.so', '/tmp/fcn-outside.so', 'a\\..\\..\\outside.so']) {
    await writeWheel(wheel, { distribution: 'x-1', members: { [name]: 'x' } });
    const unpacking = unpackWheel(wheel, path.join(folder, 'out'), { select: (member) => member.endsWith('.so') });
    await t.throwsAsync(unpacking, { instanceOf: UserError }, name);
  }
  t.false(existsSync(path.join(folder, 'outside.so')));
  t.false(existsSync('/tmp/fcn-outside.so'));
});

test('a program gets its arguments as they are: no shell reads them', async (t) => {
  const folder = await temporaryFolder(t);
  const hostile = [`$(touch ${folder}/a)`, `; touch ${folder}/b`, `\`touch ${folder}/c\``, '| cat', '"\'', '*'];
  const program = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';
  const { stdout } = await runTool(process.execPath, ['-e', program, ...hostile]);
  t.deepEqual(JSON.parse(stdout), hostile);
  t.deepEqual(await readdir(folder), []);
});

test('no module runs text as code, and few start programs, without a shell', async (t) => {
  const source = path.join(packageRoot(), 'src');
  const files = (await readdir(source, { recursive: true })).filter((name) => name.endsWith('.ts'));
  t.true(files.length > 100);
  const starting: string[] = [];
  for (const name of files) {
    const text = await readFile(path.join(source, name), 'utf8');
    t.notRegex(text, /\beval\(|new Function\(|node:vm['"]|shell: true|execSync|\.execCommand/, name);
    if (/import\('execa'\)|from 'execa'|node:child_process/.test(text)) starting.push(name.replaceAll('\\', '/'));
  }
  t.deepEqual(starting.sort(), [
    'engines/tensorflow/library.ts',
    'engines/tool.ts',
    'jobs/slurm/programs.ts',
    'jobs/task-process.ts',
    'nightly/measurements.ts',
    'parallel/launch.ts',
  ]);
});
