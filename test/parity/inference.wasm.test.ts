import { inferenceSuite } from './suites/inference.js';

// One of each kind: plain, dilated heads with aligned corners, slide recipe, many classes. All of them take a minute.
inferenceSuite('wasm', ['r18', 'd6_r50_769', 'pc59_r50', 'ade_r50']);
