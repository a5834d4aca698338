import { oracleCaseNames } from '../helpers/oracle.js';
import { trainingSuite } from './suites/training.js';

trainingSuite('tensorflow', oracleCaseNames());
