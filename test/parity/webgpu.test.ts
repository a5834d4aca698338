import { PACKAGE_SET } from '../helpers/reference-set.js';
import { inferenceSuite } from './suites/inference.js';
import { trainingSuite } from './suites/training.js';

// The others: full-set.webgpu.long.test.ts, and fcn verify.
inferenceSuite('webgpu', PACKAGE_SET, 'r18');
trainingSuite('webgpu', PACKAGE_SET, 'r18');
