import { portableKernels } from '../../src/kernels/portable/index.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('wasm', 'portable kernels on wasm', (engine) => portableKernels(engine.tf));
