import { CASES, testInferenceMemory } from './suites/memory.js';

testInferenceMemory(
  'wasm',
  CASES.filter((_, i) => i !== 2 && i !== 4),
);
