import '../helpers/half-adapter.js';
import { halfPrecisionOf } from '../helpers/engines.js';
import { halfSuite } from './suites/half.js';

halfSuite('webgpu', halfPrecisionOf('webgpu'));
