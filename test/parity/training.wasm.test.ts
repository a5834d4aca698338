import { PACKAGE_SET } from '../helpers/reference-set.js';
import { trainingSuite } from './suites/training.js';

trainingSuite('wasm', PACKAGE_SET);
