import '../helpers/half-adapter.js';
import { halfPrecisionOf } from '../helpers/engines.js';
import { halfSuite } from './suites/half.js';

// Few steps: lavapipe 22.3 keeps half a megabyte of each convolution that it has computed.
halfSuite('webgpu', halfPrecisionOf('webgpu'), { steps: 16, loss: 0.8 });
