import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import test from 'ava';
import { z } from 'zod';
import { normalise } from '../../src/data/transforms/normalise.js';
import { caseImage, NetworkCase } from '../../src/parity/network/case.js';
import { caseNames, HASHES_FILE, openSet, ReferenceFolder, shippedSet } from '../../src/parity/reference-set.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const sha256 = (content: Uint8Array | string) => createHash('sha256').update(content).digest('hex');

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(file) : [file];
  });
}

test('the set of the package has every structural variant in less than 5 MB, and no image file', (t) => {
  const files = filesBelow(shippedSet());
  t.true(files.reduce((total, file) => total + statSync(file).size, 0) < 5e6);
  t.deepEqual(
    files.filter((file) => /\.(png|jpe?g)(\.gz)?$/.test(file)),
    [],
  );
  const models = openSet(shippedSet()).networks.map((folder) => NetworkCase.read(folder).model);
  t.deepEqual([...new Set(models.map(({ stem }) => stem))].sort(), ['7x7', 'deep']);
  t.deepEqual([...new Set(models.map(({ depth }) => depth))].sort(), [18, 50]);
  t.deepEqual([...new Set(models.map(({ decodeHead }) => decodeHead.dilation))].sort(), [1, 6]);
  t.deepEqual([...new Set(models.map(({ alignCorners }) => alignCorners))].sort(), [false, true]);
});

test('every file of the package’s set is in its list with the hash of its content, and the list names no other', (t) => {
  const root = shippedSet();
  const listed = readFileSync(path.join(root, HASHES_FILE), 'utf8').trimEnd().split('\n');
  const found = filesBelow(root)
    .filter((file) => path.basename(file) !== HASHES_FILE)
    .map((file) => {
      const content = file.endsWith('.gz') ? gunzipSync(readFileSync(file)) : readFileSync(file);
      return `${sha256(content)}  ${path.relative(root, file).replaceAll(path.sep, '/').replace(/\.gz$/, '')}`;
    });
  t.deepEqual([...listed].sort(), found.sort());
});

test('the image of a case comes from its levels or from its normalised input, in whole numbers', async (t) => {
  const [first] = openSet(shippedSet()).networks;
  const shipped = NetworkCase.read(first!);
  const image = await caseImage(shipped, 'a');
  t.deepEqual([image!.height, image!.width], [96, 128]);
  t.true(new Set(image!.data).size > 100);
  t.is(await caseImage(shipped, 'b'), null);

  const folder = await temporaryFolder(t);
  const planes = new Float32Array(image!.data.length);
  normalise(image!).forEach((value, i) => {
    planes[(i % 3) * (planes.length / 3) + Math.floor(i / 3)] = value;
  });
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 96, 128), }\n";
  const start = Buffer.from(`\x93NUMPY\x01\x00${String.fromCharCode(header.length)}\x00${header}`, 'latin1');
  await writeFiles(folder, {
    'meta.json': shipped.folder.bytes('meta.json'),
    'eval_a_input.npy': Buffer.concat([start, new Uint8Array(planes.buffer)]),
  });
  t.deepEqual(await caseImage(NetworkCase.read(ReferenceFolder.open(folder)), 'a'), image);
});

test('a folder is taken as a set, as cases, or as one case', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, {
    'set/cases/x/meta.json': '{}',
    'set/metrics/metrics.json': '{}',
    'part/pipeline/x': '',
    'empty/other/x': '',
    'broken/cases/y/data': '',
  });
  const names = (...parts: string[]) => caseNames(openSet(path.join(folder, ...parts)));
  t.deepEqual(names('set'), ['x', 'metrics']);
  t.deepEqual(names('set', 'cases'), ['x']);
  t.deepEqual(names('set', 'cases', 'x'), ['x']);
  t.deepEqual(names('part'), ['pipeline']);
  t.throws(() => openSet(path.join(folder, 'empty')), { instanceOf: UserError, message: /holds no reference data/ });
  t.throws(() => openSet(path.join(folder, 'broken')), { instanceOf: UserError, message: /y is no reference case/ });
  t.throws(() => openSet(path.join(folder, 'nowhere')), { instanceOf: UserError, message: /does not exist/ });
});

test('plain and compressed files are read, but none outside the folder', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, { 'set/plain.json': '[1]', 'set/packed.json.gz': gzipSync('[2]'), 'secret.json': '[3]' });
  const set = ReferenceFolder.open(path.join(folder, 'set'));
  const numbers = z.array(z.number());
  t.deepEqual([set.json('plain.json', numbers), set.json('packed.json', numbers)], [[1], [2]]);
  t.deepEqual(set.list().files, ['packed.json', 'plain.json']);
  for (const name of ['../secret.json', '..', '.', 'a/b', 'a\\b']) {
    t.throws(() => set.bytes(name), { instanceOf: UserError, message: /is not the name of a file/ });
  }
  t.throws(() => set.json('plain.json', z.object({})), { instanceOf: UserError, message: /plain\.json: expected a/ });
});

test('a file that differs from the list of hashes, or is not in it, is refused', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, {
    'inner/good.json': '[1]',
    'inner/bad.json.gz': gzipSync('[2]'),
    'other.json': '[3]',
    'torn.json.gz': gzipSync('[4]').subarray(0, 15),
    [HASHES_FILE]: `${sha256('[1]')}  inner/good.json\n${sha256('[9]')}  inner/bad.json\n`,
  });
  const set = ReferenceFolder.open(folder);
  t.notThrows(() => set.folder('inner').bytes('good.json'));
  t.notThrows(() => set.folder('inner').file('good.json'));
  t.throws(() => set.folder('inner').bytes('bad.json'), { message: /bad\.json differs from its hash in SHA256SUMS/ });
  t.throws(() => set.bytes('other.json'), { message: /other\.json is not in SHA256SUMS/ });
  t.throws(() => set.bytes('torn.json'), { instanceOf: UserError, message: /torn\.json\.gz cannot be unpacked/ });
});

for (const [key, value, message] of [
  ['num_classes', 'many', /meta\.json: num_classes: expected a number, got "many"/],
  ['aux_num_classes', 5, /aux_num_classes 5 is not num_classes/],
  ['dropout', 0.1, /meta\.json: dropout/],
  ['ignore_label', 0, /meta\.json: ignore_label/],
] as const) {
  test(`a case whose ${key} is ${value} is refused with file and key`, async (t) => {
    const folder = await temporaryFolder(t);
    const from = path.join(shippedSet(), 'cases', 'r18b');
    await cp(from, path.join(folder, 'r18b'), { recursive: true });
    const file = path.join(folder, 'r18b', 'meta.json');
    const meta = JSON.parse(gunzipSync(readFileSync(`${file}.gz`)).toString()) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...meta, [key]: value }));
    t.throws(() => NetworkCase.read(ReferenceFolder.open(path.join(folder, 'r18b'))), {
      instanceOf: UserError,
      message,
    });
  });
}
