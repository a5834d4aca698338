import { CASES, testInferenceMemory, testManyWindows } from './suites/memory.js';

// Several views, mirrored; windows with dilated heads; many windows.
testInferenceMemory(
  'wasm',
  CASES.filter((_, i) => i === 2 || i === 4 || i === 6),
);
testManyWindows('wasm');
