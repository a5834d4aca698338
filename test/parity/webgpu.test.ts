import { PACKAGE_SET } from '../helpers/reference-set.js';
import { trainingSuite } from './suites/training.js';

// The rest: full-set.webgpu.long.test.ts, and fcn verify.
trainingSuite('webgpu', PACKAGE_SET, 'r18');
