import type * as tfjs from '@tensorflow/tfjs-core';

/** TensorFlow.js's core. It is passed to the kernels rather than imported, so that only an engine loads it. */
export type TensorFlow = typeof tfjs;
