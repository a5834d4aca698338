import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { shippedSet } from '../../src/parity/reference-set.js';
import type { Verification } from '../../src/parity/verify.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const CASE = 'r18b';

/** A reference set of only the package's smallest case, without hashes. */
async function copyCase(t: ExecutionContext): Promise<{ cwd: string; folder: string }> {
  const cwd = await temporaryFolder(t);
  const folder = path.join(cwd, 'set', 'cases', CASE);
  await mkdir(path.dirname(folder), { recursive: true });
  await cp(path.join(shippedSet(), 'cases', CASE), folder, { recursive: true });
  return { cwd, folder };
}

/** Changes the content of a file of a case. */
async function change(folder: string, name: string, edit: (content: Buffer) => Uint8Array | string): Promise<void> {
  const file = path.join(folder, name);
  const content = existsSync(file) ? readFileSync(file) : gunzipSync(readFileSync(`${file}.gz`));
  await rm(`${file}.gz`, { force: true });
  await writeFile(file, edit(content));
}

const verify = (cwd: string, ...parameters: string[]) => fcn(['verify', '--engine', 'wasm', ...parameters], { cwd });

test.serial('a case of the package passes: table on stdout, progress on stderr, exit code 0', async (t) => {
  const cwd = await temporaryFolder(t);
  const { code, stdout, stderr } = await verify(cwd, '--case', CASE);
  t.is(code, 0, stderr);
  t.regex(stdout, /│ r18b │ logits a +│ 5e-5 +│ \d(\.\d)?e-\d+ +│ pass +│/);
  t.regex(stdout, /wasm engine on cpu, direct convolutions: TensorFlow\.js/);
  t.regex(stdout, /\nAll 22 checks of 22 kinds pass, in [^\n]+\nNot in this set: resized logits\.\n$/);
  t.true(stdout.split('\n').every((line) => line.startsWith('reference ') || line.length <= 105));
  t.true(
    stdout.split('\n').every((line) => !line.startsWith('│') || line.length <= 80),
    'the table fits 80 columns',
  );
  t.regex(stderr, /^> r18b\n[\s\S]*^ {2}\d+ checks, all pass/m);
});

test.serial('a wrong reference fails with exit code 1, and its line again at the end', async (t) => {
  const { cwd, folder } = await copyCase(t);
  await change(folder, 'eval_a_logits.npy', (content) => {
    content.writeFloatLE(content.readFloatLE(content.length - 4) + 0.01, content.length - 4);
    return content;
  });
  const { code, stdout, stderr } = await verify(cwd, '--reference', 'set');
  t.is(code, 1, stderr);
  t.regex(stdout, /│ logits a +│ 5e-5 +│ 1\.\de-3 │ FAIL +│/);
  t.regex(stdout, /Failures:\n {2}r18b, logits a: 1\.\de-3, at most 5e-5\n {4}worst at eval_a_logits\.npy/);
  t.regex(stdout, /1 of 22 checks of 22 kinds fail, in/);
});

/** Sets all values of a safetensors file of float32. */
const setAll = (value: number) => (content: Buffer) => {
  const values = Number(content.readBigUInt64LE(0)) + 8;
  for (let at = values; at < content.length; at += 4) content.writeFloatLE(value, at);
  return content;
};

test.serial('weights with NaN are refused', async (t) => {
  const { cwd, folder } = await copyCase(t);
  await change(folder, 'model.safetensors', setAll(Number.NaN));
  const { code, stderr } = await verify(cwd, '--reference', 'set');
  t.is(code, 2);
  t.regex(stderr, /model\.safetensors/);
});

test.serial('an overflow fails every quantity of the network, and --json says so', async (t) => {
  const { cwd, folder } = await copyCase(t);
  await change(folder, 'model.safetensors', setAll(3e38));
  const { code, stdout } = await verify(cwd, '--reference', 'set', '--json');
  t.is(code, 1);
  const { passed, checks } = JSON.parse(stdout) as Verification;
  t.false(passed);
  const ofNetwork = ['logits a', 'first losses', 'gradients, backbone', 'losses of low-rate steps'].map(
    (quantity) => checks.find((found) => found.quantity === quantity)!,
  );
  for (const { passed, quantity } of ofNetwork) t.false(passed, quantity);
  t.true(
    ofNetwork.some(({ difference }) => difference === null),
    'JSON has no infinity',
  );
});

test.serial('a momentum other than that of the reference is noticed in the deltas', async (t) => {
  const { cwd, folder } = await copyCase(t);
  await change(folder, 'train_lowlr.json', (content) =>
    content.toString().replace('"momentum": 0.9', '"momentum": 0.8'),
  );
  const { code, stdout } = await verify(cwd, '--reference', 'set', '--json');
  t.is(code, 1);
  const failed = (JSON.parse(stdout) as Verification).checks.filter(({ passed }) => !passed);
  t.true(failed.some(({ quantity }) => quantity === 'parameter deltas, median'));
});

test.serial('missing references and unread arrays are reported, and neither is a failure', async (t) => {
  const { cwd, folder } = await copyCase(t);
  for (const name of ['train.json', 'train_lowlr.json', 'whole_a_pred.npy']) await rm(path.join(folder, `${name}.gz`));
  await writeFile(path.join(folder, 'new_kind.npy'), '');
  const { code, stdout } = await verify(cwd, '--reference', path.join('set', 'cases'));
  t.is(code, 0);
  for (const quantity of ['first losses', 'parameter deltas', 'predictions whole']) {
    t.regex(stdout, new RegExp(`\nNot in this set: .*\\b${quantity}[,.]`));
  }
  t.regex(stdout, /Files that no check reads:[\s\S]*new_kind\.npy/);
});

for (const [mistake, parameters, message] of [
  ['a missing case', ['--case', 'r34*'], /No case of .*reference is named r34\*\.\nnext: The cases are: ade_r50,/],
  ['a missing folder', ['--reference', 'nowhere'], /nowhere does not exist/],
  ['a folder without reference data', ['--reference', '.'], /holds no reference data: expected folders named cases/],
] as const) {
  test.serial(`${mistake} is a mistake with exit code 2`, async (t) => {
    const { code, stdout, stderr } = await verify(await temporaryFolder(t), ...parameters);
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, message);
    t.notRegex(stderr, / at .*\.js/);
  });
}
