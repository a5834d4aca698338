import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('tensorflow', "TensorFlow's own kernels", (engine) => tensorflowKernels(engine, { stock: true }));
