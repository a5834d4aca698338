// Plants faults in a copy of the package, one at a time, and runs fcn nightly with each: the gate for that fault must fail. Needs the
// built package. The faults that cost time need a quiet machine.
//
//   node scripts/planted-faults.mjs [--engine auto|tensorflow|wasm] [--fault NAME …] [--short] [--json]
//
// --short makes the smoke runs of all nights shorter, which is enough for leaks and recipes.
// Exits with 1 if a fault is not caught by its gate, or if a night without a fault fails.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
/** The files that the package needs to run. */
const PACKAGE = [
  'package.json',
  'oclif.manifest.json',
  'bin',
  'dist/src',
  'src/engines/native',
  'datasets',
  'experiments',
  'reference',
];

/** Changes a kernel on every engine. `body` is the source of an object of kernels; it may use `right`, the correct kernels, and `engine`. */
const inKernels = (body) => ({
  file: 'dist/src/kernels/create.js',
  change(text) {
    const declaration = 'export function createKernels(';
    const planted = `
export function createKernels(engine, meter) {
  const right = createRightKernels(engine, meter);
  return { ...right, ...(${body}) };
}
`;
    return replaceOnce(text, declaration, 'function createRightKernels(') + planted;
  },
});

const slower = (kernel) =>
  inKernels(`{
    ${kernel}(...inputs) {
      const start = performance.now();
      const result = right.${kernel}(...inputs);
      const end = start + 1.3 * (performance.now() - start);
      while (performance.now() < end);
      return result;
    },
  }`);

const FAULTS = {
  'wrong-gradient': {
    what: 'gradients of filters are a hundredth too large',
    gate: 'parity',
    parts: ['parity'],
    ...inKernels(`{
      convolutionFilterGradient(...inputs) {
        const gradient = right.convolutionFilterGradient(...inputs);
        const wrong = engine.tf.mul(gradient, 1.01);
        gradient.dispose();
        return wrong;
      },
    }`),
  },
  'slower-convolution': {
    what: 'the gradient of a convolution with respect to its input takes 30 % longer',
    gate: 'kernel-cost',
    parts: ['kernels'],
    ...slower('convolutionInputGradient'),
  },
  'slower-batch-norm': {
    what: 'batch norm takes 30 % longer',
    gate: 'kernel-cost',
    parts: ['kernels'],
    ...slower('batchNorm'),
  },
  'leaked-tensor': {
    what: 'max pool leaks a tensor',
    gate: 'training-memory',
    parts: ['smoke'],
    ...inKernels(`{
      maxPool(x) {
        const y = right.maxPool(x);
        engine.tf.neg(y);
        return y;
      },
    }`),
  },
  'leaked-memory': {
    what: 'every loss leaks 2 MB outside of tensors',
    gate: 'process-memory',
    parts: ['smoke'],
    ...inKernels(`{
      crossEntropy(...inputs) {
        (engine.leaked ??= []).push(Buffer.alloc(2e6, 1));
        return right.crossEntropy(...inputs);
      },
    }`),
  },
  'changed-recipe': {
    what: 'momentum is 0.8',
    gate: 'recipe',
    parts: ['smoke'],
    file: 'experiments/base.yaml',
    change: (text) => replaceOnce(text, 'momentum: 0.9', 'momentum: 0.8'),
  },
};

const { values: flags } = parseArgs({
  options: {
    engine: { type: 'string', default: 'auto' },
    fault: { type: 'string', multiple: true, default: Object.keys(FAULTS) },
    short: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const unknown = flags.fault.find((name) => !(name in FAULTS));
if (unknown !== undefined) {
  process.stderr.write(`--fault ${unknown}: expected one of ${Object.keys(FAULTS).join(', ')}\n`);
  process.exit(2);
}

/** @throws Error if the source has changed, so that no fault would be planted. */
function replaceOnce(text, part, replacement) {
  if (text.split(part).length !== 2)
    throw new Error(`"${part}" occurs ${text.split(part).length - 1} times, not once.`);
  return text.replace(part, () => replacement);
}

/** The copy shares node_modules with the original. */
function copyPackage(folder) {
  for (const name of PACKAGE) cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  const modules = path.join(root, 'node_modules');
  if (!existsSync(modules)) throw new Error(`${modules} is missing: the package is not installed.`);
  symlinkSync(modules, path.join(folder, 'node_modules'), 'junction');
}

function shortenSmoke(folder) {
  const file = path.join(folder, 'dist', 'src', 'recipe', 'profiles.js');
  const shorter = [
    ['iterations: 100', 'iterations: 20'],
    ['limit: 8', 'limit: 1'],
  ];
  const text = shorter.reduce(
    (changed, [part, replacement]) => replaceOnce(changed, part, replacement),
    readFileSync(file, 'utf8'),
  );
  writeFileSync(file, text);
}

/** Runs a night of some parts. `failed` are the names of the gates that failed. */
function night(folder, parts) {
  const parameters = ['nightly', '--json', '--engine', flags.engine, '--results', 'none', '--work', 'work'];
  for (const part of parts) parameters.push('--part', part);
  if (parts.includes('smoke')) parameters.push('--rows', ROW);
  // Every night starts from scratch.
  rmSync(path.join(folder, 'work', 'runs'), { recursive: true, force: true });
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(folder, 'bin', 'run.js'), ...parameters, '--history', 'history.jsonl'],
    { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28 },
  );
  if (status !== 0 && status !== 1) throw new Error(`fcn nightly ended with ${status}:\n${stderr}${stdout}`);
  const { night: measured, failures } = JSON.parse(stdout);
  if (measured === undefined) throw new Error(`fcn nightly ended with ${status}:\n${stdout}${stderr}`);
  return { status, failed: measured.failed, failures };
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-planted-'));
const say = (text) => flags.json || process.stderr.write(`${text}\n`);
const report = [];
try {
  copyPackage(folder);
  if (flags.short) shortenSmoke(folder);
  const parts = [...new Set(flags.fault.flatMap((name) => FAULTS[name].parts))];
  say(`A night without a fault: ${parts.join(', ')}`);
  const baseline = night(folder, parts);
  report.push({ fault: null, gate: null, ...baseline, caught: baseline.status === 0 });
  // Timings vary, so they are compared with the median of several nights, as in practice.
  if (parts.includes('kernels')) for (let i = 0; i < 2; i++) night(folder, ['kernels']);
  const history = readFileSync(path.join(folder, 'history.jsonl'));
  for (const name of flags.fault) {
    const { what, gate, parts: measured, file, change } = FAULTS[name];
    say(`${name}: ${what}`);
    const planted = path.join(folder, file);
    const right = readFileSync(planted, 'utf8');
    writeFileSync(planted, change(right));
    writeFileSync(path.join(folder, 'history.jsonl'), history);
    const { status, failed, failures } = night(folder, measured);
    writeFileSync(planted, right);
    const caught = status === 1 && failed.includes(gate);
    report.push({ fault: name, gate, status, failed, failures, caught });
    say(`  ${caught ? 'caught' : 'NOT CAUGHT'} by ${gate}; gates that failed: ${failed.join(', ') || 'none'}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.exitCode = report.every(({ caught }) => caught) ? 0 : 1;
