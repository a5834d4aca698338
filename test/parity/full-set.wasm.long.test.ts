import { FULL_SET } from '../helpers/reference-set.js';
import { inferenceSuite } from './suites/inference.js';
import { trainingSuite } from './suites/training.js';

inferenceSuite('wasm', FULL_SET);
trainingSuite('wasm', FULL_SET);
