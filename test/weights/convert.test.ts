import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { UserError } from '../../src/support/errors.js';
import { convertCheckpoint, saveWeights } from '../../src/weights/convert.js';
import { type Checkpoint, readCheckpoint } from '../../src/weights/load.js';
import { writePytorch } from '../../src/weights/pickle-write.js';
import { temporaryFolder } from '../helpers/folder.js';
import { FULL_SET, PACKAGE_SET, partOf, type TestSet } from '../helpers/reference-set.js';

/** Everything in a checkpoint except its file. */
function contentOf({ tensors, metadata }: Checkpoint) {
  const values = [...tensors.values()].map(({ name, dtype, shape, bytes }) => {
    return { name, dtype, shape, values: Buffer.from(bytes()).toString('hex') };
  });
  return { tensors: values, metadata: { ...metadata } };
}

const of = (set: TestSet) => (set.folder === null ? [] : partOf(set, 'checkpoints').list().files);
const files = [PACKAGE_SET, FULL_SET].flatMap((set) =>
  of(set)
    .filter((name) => name.endsWith('.pth'))
    .map((name) => ({ set, name })),
);
if (FULL_SET.folder === null) FULL_SET.test('all its checkpoints to safetensors and back', (t) => t.fail());

for (const { set, name } of files) {
  test(`${name} to safetensors and back: only an optimizer is left out (${set.title})`, async (t) => {
    const input = partOf(set, 'checkpoints').file(name);
    const work = await temporaryFolder(t);
    const original = await readCheckpoint(input);
    const middle = path.join(work, 'weights.safetensors');
    const output = path.join(work, 'weights.pth');
    const conversion = await convertCheckpoint({ input, output: middle });
    t.is(conversion.tensors, original.tensors.size);
    t.is(conversion.optimizerLeftOut, name.startsWith('with_optimizer'));
    const { metadata, tensors } = contentOf(original);
    t.deepEqual(contentOf(await readCheckpoint(middle)), { tensors, metadata: { format: 'pt', ...metadata } });
    await convertCheckpoint({ input: middle, output });
    t.deepEqual(contentOf(await readCheckpoint(output)), { tensors, metadata });
    await comparedByPytorch(t, input, middle, output);
  });
}

/** Where FCN_TEST_PYTHON names a Python with torch and safetensors, PyTorch itself compares the three files. */
async function comparedByPytorch(t: ExecutionContext, original: string, safetensors: string, pth: string) {
  const python = process.env['FCN_TEST_PYTHON'];
  if (python === undefined) return;
  const script = `
import sys, torch
from safetensors.torch import load_file
original, safetensors, pth = sys.argv[1:]
expected = torch.load(original, map_location='cpu', weights_only=True)
expected = expected.get('state_dict', expected)
expected = {name.removeprefix('module.'): tensor for name, tensor in expected.items()}
for actual in load_file(safetensors), torch.load(pth, weights_only=True)['state_dict']:
    assert set(actual) == set(expected)
    for name, tensor in actual.items():
        assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name]), name
`;
  await t.notThrowsAsync(promisify(execFile)(python, ['-c', script, original, safetensors, pth]));
}

async function trainingCheckpoint(t: ExecutionContext) {
  const work = await temporaryFolder(t);
  const input = path.join(work, 'iteration-5.safetensors');
  await saveWeights(
    input,
    [
      // HWIO [1,2,1,2] → OIHW [2,1,1,2].
      { name: 'c.weight', dtype: 'float32', shape: [1, 2, 1, 2], layout: 'hwio', data: Float32Array.of(1, 2, 3, 4) },
      { name: 'bn.num_batches_tracked', dtype: 'int64', shape: [], data: BigInt64Array.of(5n) },
    ],
    { format: 'pt', row: 'some_row', iteration: '5' },
  );
  return { work, input };
}

test('a training checkpoint becomes a .pth in the published layout', async (t) => {
  const { work, input } = await trainingCheckpoint(t);
  const output = path.join(work, 'trained.pth');
  const conversion = await convertCheckpoint({ input, output });
  t.like(conversion, { inputFormat: 'safetensors', outputFormat: 'pytorch-zip', tensors: 2, bytes: 24 });
  const { tensors, metadata } = await readCheckpoint(output);
  t.deepEqual(tensors.get('c.weight')!.shape, [2, 1, 1, 2]);
  t.deepEqual([...tensors.get('c.weight')!.toFloat32()], [1, 3, 2, 4]);
  t.deepEqual({ ...metadata }, { row: 'some_row', iteration: '5' });

  const bare = path.join(work, 'bare.pt');
  await convertCheckpoint({ input, output: bare, bare: true });
  t.deepEqual((await readCheckpoint(bare)).metadata, {});
});

test('an existing file is replaced only with force', async (t) => {
  const { work, input } = await trainingCheckpoint(t);
  const output = path.join(work, 'there.pth');
  writeFileSync(output, 'precious');
  const error = await t.throwsAsync(convertCheckpoint({ input, output }), { instanceOf: UserError });
  t.is(error!.message, `${output} exists already.`);
  await convertCheckpoint({ input, output, force: true });
  t.is((await readCheckpoint(output)).tensors.size, 2);
  // The file itself can be the output: it is whole until the new one is.
  await convertCheckpoint({ input, output: input, force: true });
  t.is((await readCheckpoint(input)).tensors.size, 2);
});

test('refused: outputs of unknown formats, --bare for safetensors, inputs that are not weights', async (t) => {
  const { work, input } = await trainingCheckpoint(t);
  const convert = (options: Partial<Parameters<typeof convertCheckpoint>[0]>) =>
    convertCheckpoint({ input, output: path.join(work, 'out.safetensors'), ...options });
  await t.throwsAsync(convert({ output: 'out.npz' }), { instanceOf: UserError, message: /no extension/ });
  await t.throwsAsync(convert({ bare: true }), { instanceOf: UserError, message: /--bare is for \.pth files/ });
  const reserved = path.join(work, 'reserved.pth');
  const data = Float32Array.of(1);
  const bytes = () => new Uint8Array(data.buffer);
  await writePytorch(reserved, [{ name: '__metadata__', dtype: 'float32', shape: [1], bytes }]);
  await t.throwsAsync(convert({ input: reserved }), { instanceOf: UserError, message: /named __metadata__/ });
  const garbage = path.join(work, 'garbage.pth');
  writeFileSync(garbage, 'garbage');
  await t.throwsAsync(convert({ input: garbage }), { instanceOf: UserError, message: /neither a PyTorch/ });
  t.deepEqual(readdirSync(work).sort(), ['garbage.pth', 'iteration-5.safetensors', 'reserved.pth']);
});
