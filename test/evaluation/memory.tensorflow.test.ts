import { CASES, testInferenceMemory } from './suites/memory.js';

// Several views, mirrored, and windows with dilated heads.
testInferenceMemory(
  'tensorflow',
  CASES.filter((_, i) => i === 2 || i === 4),
);
