import { portableKernels } from '../../src/kernels/portable/index.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('tensorflow', 'portable kernels on TensorFlow', (engine) => portableKernels(engine.tf));
