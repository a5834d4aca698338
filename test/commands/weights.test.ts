import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { architecture } from '../../src/network/architecture.js';
import { parameterSpecs } from '../../src/network/parameters.js';
import { resolve } from '../../src/recipe/resolve.js';
import type { RunRecord } from '../../src/records/record.js';
import { Draws, Purpose } from '../../src/support/random.js';
import { convertCheckpoint, type NamedWeights, saveWeights } from '../../src/weights/convert.js';
import { readCheckpoint } from '../../src/weights/load.js';
import { PickleWriter } from '../../src/weights/pickle-write.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { type ZipPart, zip } from '../weights/builders.js';

/** A table with one row whose published weights are the given link. */
function tableFile(link: string): string {
  return JSON.stringify({
    table: 'Mine',
    recipe: {
      method: 'FCN',
      backbone: 'R-18-D8',
      model: { classes: 19, width: 4, pretrained: null },
      data: { dataset: 'cityscapes', imageScaleWh: [128, 64], cropHw: [64, 64] },
      training: { batch: 2, iterations: 10, checkpointEvery: 10 },
      evaluation: { imageScaleWh: [128, 64], limit: 1 },
      benchmark: { trainingBatch: 2 },
    },
    rows: [{ id: 'mine', parts: ['R-18-D8'], recipe: { model: { pretrained: null } }, weights: link }],
  });
}

/** Random weights of the table's row, as `fcn train` would save them, with an auxiliary head of other classes. */
async function randomWeights(table: string, file: string): Promise<void> {
  const specs = parameterSpecs(architecture(resolve({ file: table }).model));
  const tensors = specs.map(({ path, kind, shape }, index): NamedWeights => {
    const values = new Float32Array(shape.reduce((product, side) => product * side, 1));
    if (kind === 'runningVariance') values.fill(1);
    else new Draws(3, Purpose.initialisation, index).fillNormal(values, 0.1);
    const other = path === 'auxiliary_head.conv_seg.bias';
    const data = other ? values.subarray(0, 5) : values;
    const layout = kind === 'filter' ? ({ layout: 'hwio' } as const) : {};
    return { name: path, dtype: 'float32', shape: other ? [5] : shape, ...layout, data };
  });
  const further: NamedWeights = { name: 'further', dtype: 'float32', shape: [1], data: Float32Array.of(0) };
  await saveWeights(file, [...tensors, further], { format: 'pt', row: 'mine', iteration: '10' });
}

/** An address of this machine that nothing listens at. */
async function closedOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `https://127.0.0.1:${port}`;
}

/** A folder with a table, weights in both formats, and a link whose name carries the .pth file's hash. */
async function workplace(t: ExecutionContext) {
  const cwd = await temporaryFolder(t);
  const origin = await closedOrigin();
  const inside = (name: string) => path.join(cwd, name);
  writeFileSync(inside('mine.yaml'), tableFile(`${origin}/none-00000000.pth`));
  await randomWeights(inside('mine.yaml'), inside('trained.safetensors'));
  await convertCheckpoint({ input: inside('trained.safetensors'), output: inside('given.pth') });
  const sha256 = createHash('sha256')
    .update(readFileSync(inside('given.pth')))
    .digest('hex');
  const name = `mine-${sha256.slice(0, 8)}.pth`;
  writeFileSync(inside('mine.yaml'), tableFile(`${origin}/${name}`));
  return { cwd, sha256, name, env: { FCN_CACHE_DIR: inside('cache') } };
}

test('show: a table of tensors, totals and metadata; --keys and --json', async (t) => {
  const { cwd } = await workplace(t);
  const { code, stdout, stderr } = await fcn(['weights', 'show', 'trained.safetensors', '--keys', '*.conv_seg.*'], {
    cwd,
  });
  t.is(code, 0, stderr);
  t.is(stderr, '');
  t.snapshot(stdout);

  const json = await fcn(['weights', 'show', 'given.pth', '--keys', 'decode_head.conv_seg.bias', '--json'], { cwd });
  t.deepEqual(JSON.parse(json.stdout), {
    file: 'given.pth',
    format: 'pytorch-zip',
    key: 'state_dict',
    metadata: { row: 'mine', iteration: '10' },
    notRead: [],
    optimizer: false,
    tensors: [{ name: 'decode_head.conv_seg.bias', shape: [19], dtype: 'float32', elements: 19, bytes: 76 }],
    totals: { tensors: 1, elements: 19, bytes: 76 },
    tensorsInFile: 135,
  });

  const none = await fcn(['weights', 'show', 'given.pth', '--keys', 'head.*'], { cwd });
  t.is(none.code, 2);
  t.regex(none.stderr, /^error: given\.pth: no tensor's name matches head\.\*\.\nnext: /);
});

/** A .pth with the weights under `model` and, the same but for one bias, under `ema.module`. */
async function twoDictionaries(input: string, output: string): Promise<void> {
  const { tensors } = await readCheckpoint(input);
  const writer = new PickleWriter();
  const parts: ZipPart[] = [];
  const stateDict = (shift: number) => () => {
    const entries = [...tensors.values()].map(({ name, shape, toFloat32 }) => {
      const values = Float32Array.from(toFloat32());
      if (name === 'decode_head.conv_seg.bias') values[0]! += shift;
      const key = String(parts.push({ name: `x/data/${parts.length}`, data: new Uint8Array(values.buffer) }) - 1);
      return [`module.${name}`, () => writer.tensor({ dtype: 'float32', shape }, key)] as const;
    });
    writer.orderedDictionary(entries);
  };
  writer.dictionary([
    ['model', stateDict(0)],
    ['ema', () => writer.dictionary([['module', stateDict(1000)]])],
    ['epoch', () => writer.value(3)],
  ]);
  writeFileSync(output, zip([{ name: 'x/data.pkl', data: writer.finish() }, ...parts]));
}

test('--key chooses one of several dictionaries of tensors: show, convert, evaluate', async (t) => {
  const { cwd, env } = await workplace(t);
  await twoDictionaries(path.join(cwd, 'trained.safetensors'), path.join(cwd, 'two.pth'));
  const none = await fcn(['weights', 'show', 'two.pth'], { cwd });
  t.is(none.code, 2);
  t.is(
    none.stderr,
    'error: two.pth holds 2 dictionaries of tensors: "model" (135 tensors), "ema.module" (135 tensors).\n' +
      'next: Choose one with --key, for instance --key model; fcn weights convert with --key writes it into a file of its own.\n',
  );
  const shown = await fcn(['weights', 'show', 'two.pth', '--key', 'ema.module', '--keys', '*.conv_seg.bias'], { cwd });
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stdout, /^key {8}ema\.module$/m);
  t.regex(shown.stdout, /^metadata\n {2}epoch: 3\nnot read\n {2}model: a dictionary of 135 tensors$/m);
  const converted = await fcn(['weights', 'convert', 'two.pth', 'ema.safetensors', '--key', 'ema.module'], { cwd });
  t.regex(converted.stdout, /^ema\.safetensors: 135 tensors, .* Not read, and left out: model\.\n$/);
  const { tensors } = await readCheckpoint(path.join(cwd, 'ema.safetensors'));
  t.true(tensors.get('decode_head.conv_seg.bias')!.toFloat32()[0]! > 900);

  await fcn(['datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128'], { cwd });
  const command = ['--file', 'mine.yaml', '--engine', 'wasm', '--weights', 'two.pth', '--json'];
  const evaluate = (...more: string[]) => fcn(['evaluate', ...command, ...more], { cwd, env });
  const unchosen = await evaluate();
  t.is(unchosen.code, 2);
  t.regex(JSON.parse(unchosen.stdout).error.message, /holds 2 dictionaries/);
  // The bias of the first class makes every pixel one of it; the other weights give other figures, in a run of their own.
  const [model, ema] = [await evaluate('--key', 'model'), await evaluate('--key', 'ema.module')].map(({ stdout }) =>
    JSON.parse(stdout),
  );
  t.is(model.record.weights.key, 'model');
  t.is(ema.record.weights.key, 'ema.module');
  t.is(model.record.weights.sha256, ema.record.weights.sha256);
  t.not(model.directory, ema.directory);
  const predictedClasses = ({ record }: { record: RunRecord }) =>
    record.details.evaluate!.confusion.reduce((sum, row) => sum.map((count, i) => count + row[i]!));
  t.deepEqual(predictedClasses(ema).slice(1), Array(18).fill(0));
  t.notDeepEqual(predictedClasses(model), predictedClasses(ema));
  const again = JSON.parse((await evaluate('--key', 'ema.module', '--resume')).stdout);
  t.is(again.directory, ema.directory);

  const without = await fcn(['reproduce', '--file', 'mine.yaml', '--key', 'model'], { cwd, env });
  t.is(without.code, 2);
  t.regex(without.stderr, /--weights/);
});

test('convert: says what it wrote, and does not replace a file unasked', async (t) => {
  const { cwd } = await workplace(t);
  const convert = (...more: string[]) =>
    fcn(['weights', 'convert', 'trained.safetensors', 'out.pth', ...more], { cwd });
  const { code, stdout } = await convert();
  t.is(code, 0);
  t.regex(stdout, /^out\.pth: 135 tensors, \S+ MB, as in trained\.safetensors\.\n$/);
  t.deepEqual(readFileSync(path.join(cwd, 'out.pth')), readFileSync(path.join(cwd, 'given.pth')));
  const again = await convert('--json');
  t.is(again.code, 2);
  t.like(JSON.parse(again.stdout), { error: { message: 'out.pth exists already.' } });
  t.is((await convert('--force')).code, 0);
});

test('fetch: without a network one line; a file given is checked, kept, and found again', async (t) => {
  const { cwd, sha256, name, env } = await workplace(t);
  const fetch = (...more: string[]) => fcn(['weights', 'fetch', '--file', 'mine.yaml', ...more], { cwd, env });
  const offline = await fetch();
  t.is(offline.code, 2);
  t.regex(
    offline.stderr,
    /^error: Cannot reach 127\.0\.0\.1:\d+: ECONNREFUSED\.\nnext: .* run fcn weights fetch mine --file mine\.yaml --from FILE or put it at \/.*\.pth\.\n$/,
  );
  // In which file its row is, an evaluation does not know: only the place is said.
  const evaluated = ['evaluate', '--file', 'mine.yaml', '--weights', 'published', '--offline'];
  const refused = await fcn(evaluated, { cwd, env });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /is not in the cache/);
  t.notRegex(refused.stderr, /fcn weights fetch/);
  const wrong = await fetch('--from', 'trained.safetensors');
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /^error: trained\.safetensors has SHA-256 [0-9a-f]{64}, which should begin with [0-9a-f]{8}/);

  const taken = await fetch('--from', 'given.pth', '--json');
  t.is(taken.code, 0, taken.stdout);
  t.like(JSON.parse(taken.stdout), {
    row: 'mine',
    sha256,
    source: 'given file',
    file: path.join(cwd, 'cache/weights', name),
  });
  const cached = await fetch();
  t.is(cached.code, 0);
  t.regex(cached.stdout, /is in the cache already \(\S+ MB, SHA-256 [0-9a-f]{64}\)\.\n$/);
});

test('evaluate --weights published: taken from the cache, with a report of how they fit', async (t) => {
  const { cwd, name, sha256, env } = await workplace(t);
  const generated = await fcn(['datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128'], { cwd });
  t.is(generated.code, 0, generated.stderr);
  const evaluate = (...more: string[]) =>
    fcn(['evaluate', '--file', 'mine.yaml', '--engine', 'wasm', '--weights', 'published', ...more], { cwd, env });
  const offline = await evaluate();
  t.is(offline.code, 2);
  t.regex(offline.stderr, /^error: Cannot reach 127\.0\.0\.1/m);

  await fcn(['weights', 'fetch', '--file', 'mine.yaml', '--from', 'given.pth'], { cwd, env });
  const { code, stdout, stderr } = await evaluate();
  t.is(code, 0, stderr);
  t.regex(stderr, /> Fetch the published weights\n {2}in the cache: .*\n/);
  t.true(
    stderr.includes(
      [
        '',
        'Weights: 133 of 134 tensors loaded',
        '  1 of another shape: auxiliary_head.conv_seg.bias [5] for [19]',
        '  1 in the file but not used: further',
        '  The auxiliary head, which only training uses, was left out.',
        '',
      ].join('\n'),
    ),
    stderr,
  );
  t.true(stdout.includes(`weights  ${path.join(cwd, 'cache', 'weights', name)}\n`), stdout);

  const json = await evaluate('--ms', '--set', 'ratios=[1]', '--json');
  t.is(json.code, 0, json.stdout);
  t.regex(json.stderr, /^> Evaluate \(multi-scale \+ flip\)$/m);
  const { record } = JSON.parse(json.stdout);
  t.deepEqual(record.weights, { file: name, sha256, source: 'given' });
  t.deepEqual(record.details['evaluate-ms'].loadReport, {
    loaded: 133,
    missing: [],
    unexpected: ['further'],
    wrongShape: [{ path: 'auxiliary_head.conv_seg.bias', expected: [19], found: [5] }],
  });
});
