import { oracleCaseNames } from '../helpers/oracle.js';
import { trainingSuite } from './suites/training.js';

// One of each kind: basic blocks, the 7×7 stem, aligned corners with dilated heads, many classes.
const REPRESENTATIVE = new Set(['r18', 'r18b', 'd6_r50_769', 'ade_r50']);

trainingSuite(
  'wasm',
  oracleCaseNames().filter((name) => REPRESENTATIVE.has(name)),
);
