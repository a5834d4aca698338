import { webgpuKernels } from '../../src/kernels/webgpu/index.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('webgpu', 'programs on webgpu', (engine) => webgpuKernels(engine));
