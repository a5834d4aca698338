import { PACKAGE_SET } from '../helpers/reference-set.js';
import { inferenceSuite } from './suites/inference.js';

inferenceSuite('tensorflow', PACKAGE_SET);
