import '../helpers/half-adapter.js';
import test from 'ava';
import { webgpuKernels } from '../../src/kernels/webgpu/index.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { halfTests } from './suites/half.js';
import { roundedOnceTests } from './suites/rounded-once.js';

const engine = hasEngine('webgpu') ? await startTestEngine('webgpu') : null;

if (engine?.halfPrecision === 'fp16') {
  const subject = { name: 'programs on webgpu', tf: engine.tf, kernels: webgpuKernels(engine) };
  halfTests(subject, 'fp16');
  roundedOnceTests(subject);
} else test.skip('every program in float16, which no adapter here has', (t) => t.fail());
