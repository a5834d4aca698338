import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { testOnEngine } from './suites/all.js';

await testOnEngine('tensorflow', 'native kernels on TensorFlow', (engine) => tensorflowKernels(engine));
