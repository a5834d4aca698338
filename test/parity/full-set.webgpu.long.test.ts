import { FULL_SET, PACKAGE_SET } from '../helpers/reference-set.js';
import { inferenceSuite } from './suites/inference.js';
import { trainingSuite } from './suites/training.js';

for (const set of [PACKAGE_SET, FULL_SET]) {
  inferenceSuite('webgpu', set);
  trainingSuite('webgpu', set);
}
