import { inferenceSuite } from './suites/inference.js';

inferenceSuite('tensorflow');
