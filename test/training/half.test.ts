import { halfPrecisionOf } from '../helpers/engines.js';
import { halfSuite } from './suites/half.js';

halfSuite('tensorflow', halfPrecisionOf('tensorflow'));
