import { PACKAGE_SET } from '../helpers/reference-set.js';
import { trainingSuite } from './suites/training.js';

trainingSuite('tensorflow', PACKAGE_SET);
