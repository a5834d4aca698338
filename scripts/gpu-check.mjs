// Everything that only a real GPU can show, in under six minutes: what there is, parity, rates of kernels, training steps and inference.
//
//   node scripts/gpu-check.mjs [--out FILE] [--python PYTHON]
//
// Needs a build (npm run build), the webgpu engine (fcn engines install --webgpu) and a GPU. PYTHON is one with torch and CUDA: then the
// same card's rate of PyTorch's convolutions, without and with TF32, stands beside. Each part has a time limit; what fails or takes longer
// is said, and the rest continues. Prints the parts' output, and writes a summary in JSON to FILE.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './setup.mjs';

const { values } = parseArgs({ options: { out: { type: 'string' }, python: { type: 'string' } } });
const fcn = [path.join(root, 'bin', 'run.js')];
const step = [path.join(root, 'scripts', 'bench-step.mjs'), '--engine', 'webgpu', '--size', '512x1024'];

/** Rates of PyTorch's 3×3 convolution of 512 channels, forward, in TFLOP/s. */
const PYTORCH = `
import json, time, torch
x = torch.randn(2, 512, 64, 128, device='cuda').to(memory_format=torch.channels_last)
w = torch.randn(512, 512, 3, 3, device='cuda').to(memory_format=torch.channels_last)
rates = {}
for tf32 in (False, True):
    torch.backends.cudnn.allow_tf32 = tf32
    for _ in range(5): torch.nn.functional.conv2d(x, w, padding=1)
    torch.cuda.synchronize(); start = time.time()
    for _ in range(20): torch.nn.functional.conv2d(x, w, padding=1)
    torch.cuda.synchronize()
    rates['tf32' if tf32 else 'fp32'] = 2 * 2 * 64 * 128 * 9 * 512 * 512 * 20 / (time.time() - start) / 1e12
print(json.dumps({'device': torch.cuda.get_device_name(), 'tflops': rates}))
`;

/** Parts, with seconds at most: together under six minutes. */
const PARTS = [
  { name: 'doctor', seconds: 15, command: [...fcn, 'doctor', '--engine', 'webgpu'] },
  { name: 'verify', seconds: 90, command: [...fcn, 'verify', '--engine', 'webgpu'] },
  { name: 'kernels', seconds: 45, command: [...fcn, 'benchmark', '--kernels', '--engine', 'webgpu'] },
  { name: 'R-18 train', seconds: 40, command: [...step, '--depth', '18', '--mode', 'train', '--batch', '2'] },
  { name: 'R-18 infer', seconds: 25, command: [...step, '--depth', '18', '--mode', 'infer'] },
  { name: 'R-50 train', seconds: 50, command: [...step, '--depth', '50', '--mode', 'train', '--batch', '2'] },
  { name: 'R-50 infer', seconds: 25, command: [...step, '--depth', '50', '--mode', 'infer'] },
  {
    name: 'R-50 train, float16',
    seconds: 40,
    command: [...step, '--depth', '50', '--mode', 'train', '--batch', '2', '--precision', 'fp16'],
  },
  ...(values.python === undefined
    ? []
    : [{ name: 'PyTorch', seconds: 25, program: values.python, command: ['-c', PYTORCH] }]),
];

const started = performance.now();
const summary = PARTS.map(({ name, seconds, command, program = process.execPath }) => {
  process.stdout.write(`\n== ${name}\n`);
  const start = performance.now();
  const { status, signal, stdout } = spawnSync(program, command, {
    encoding: 'utf8',
    timeout: seconds * 1000,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.stdout.write(stdout ?? '');
  const took = (performance.now() - start) / 1000;
  const outcome = signal === null ? `exit code ${status}` : `longer than ${seconds} s`;
  process.stdout.write(`== ${name}: ${outcome}, ${took.toFixed(1)} s\n`);
  return { name, status, signal, seconds: took, output: stdout };
});
process.stdout.write(`\nAll of it took ${((performance.now() - started) / 1000).toFixed(0)} s.\n`);
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(summary, null, 2)}\n`);
process.exitCode = summary.every(({ status }) => status === 0) ? 0 : 1;
