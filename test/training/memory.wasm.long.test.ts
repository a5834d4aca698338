import { OTHERS, testTrainingMemory } from './suites/memory.js';

testTrainingMemory('wasm', OTHERS);
