import { FULL_SET } from '../helpers/reference-set.js';
import { inferenceSuite } from './suites/inference.js';
import { trainingSuite } from './suites/training.js';

inferenceSuite('tensorflow', FULL_SET);
trainingSuite('tensorflow', FULL_SET);
