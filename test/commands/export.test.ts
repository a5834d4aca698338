import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { PbfReader } from 'pbf';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import {
  KEPT_RECIPE as RECIPE,
  KEPT_ROW as ROW,
  KEPT_RUN as RUN,
  KEPT_WEIGHTS as WEIGHTS,
} from '../helpers/kept-run.js';

/** The metadata of an ONNX file. */
async function metadataOf(file: string): Promise<Record<string, string>> {
  const metadata: Record<string, string> = {};
  new PbfReader(await readFile(file)).readFields((field, _, model) => {
    if (field !== 14) return;
    const entry = model.readMessage(
      (key, pair: string[], text) => pair.splice(key - 1, 1, text.readString()),
      ['', ''],
    );
    metadata[entry[0]!] = entry[1]!;
  }, null);
  return metadata;
}

test('a run is exported by its name: the file says what it was trained on', async (t) => {
  const cwd = await temporaryFolder(t);
  await cp(RUN, path.join(cwd, 'runs', ROW, 'first'), { recursive: true });
  const { code, stdout, stderr } = await fcn(['export', ROW, 'out/city.onnx', '--json'], { cwd });
  t.is(code, 0, stderr);
  const { metadata, operatorSet, bytes } = JSON.parse(stdout) as {
    readonly metadata: Record<string, string>;
    readonly operatorSet: number;
    readonly bytes: number;
  };
  const file = path.join(cwd, 'out/city.onnx');
  t.is((await readFile(file)).length, bytes);
  t.true(operatorSet >= 17);
  const written = await metadataOf(file);
  t.deepEqual(written, metadata);
  t.is(written['row'], ROW);
  t.like(JSON.parse(written['trainedBy']!), { row: ROW, run: 'first', iteration: 2 });
  t.is((JSON.parse(written['classes']!) as string[])[0], 'road');
  t.deepEqual((JSON.parse(written['palette']!) as number[][])[0], [128, 64, 128]);
  t.regex(written['weights']!, /^sha256:[0-9a-f]{64}$/);
  t.deepEqual(JSON.parse(written['mean']!), [123.675, 116.28, 103.53]);
});

test('weights of a row are exported with its recipe, the same bytes each time', async (t) => {
  const cwd = await temporaryFolder(t);
  const command = (output: string) => ['export', ROW, output, '--weights', WEIGHTS, ...RECIPE];
  const { code, stdout, stderr } = await fcn([...command('a.onnx'), '--input', 'raw', '--output', 'classes'], { cwd });
  t.is(code, 0, stderr);
  t.regex(stdout, /input {3}image {2}uint8 \[batch, height, width, 3\]/);
  t.regex(stdout, /output {2}classes {2}uint8 \[batch, height, width\]/);
  await fcn([...command('b.onnx'), '--size', '64x128', '--weight-type', 'float16'], { cwd });
  await fcn([...command('c.onnx'), '--size', '64x128', '--weight-type', 'float16'], { cwd });
  const [b, c] = await Promise.all(['b.onnx', 'c.onnx'].map((name) => readFile(path.join(cwd, name))));
  t.deepEqual(b, c);
});

test('nothing is replaced unless asked, and mistakes are explained', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeFile(path.join(cwd, 'there.onnx'), 'mine');
  // Away from the checkpoints of its run.
  await cp(WEIGHTS, path.join(cwd, 'alone.safetensors'));
  const given = ['--weights', WEIGHTS, ...RECIPE];
  const cases: [string[], RegExp][] = [
    [['export', ROW, 'there.onnx', ...given], /there\.onnx exists already.*--force/s],
    [['export', ROW, 'new.onnx'], /no run.*--weights.*the row/s],
    [['export', 'alone.safetensors', 'new.onnx'], /does not say of which row.*fcn export ROW OUTPUT/s],
    [['export', ROW, 'new.onnx', '--size', '64', ...given], /--size 64 is no size.*512x1024/s],
    [['export', ROW, 'new.onnx', '--size', '0x5', ...given], /no size/],
    [['export', ROW, 'new.onnx', '--weights', 'alone.safetensors'], /has shape/],
  ];
  for (const [command, expected] of cases) {
    const { code, stderr } = await fcn(command, { cwd });
    t.is(code, 2, command.join(' '));
    t.regex(stderr, expected);
  }
  t.is(await readFile(path.join(cwd, 'there.onnx'), 'utf8'), 'mine');
  const forced = await fcn(['export', ROW, 'there.onnx', '--force', ...given], { cwd });
  t.is(forced.code, 0, forced.stderr);
  t.is((await metadataOf(path.join(cwd, 'there.onnx')))['input'], 'normalised');
});
