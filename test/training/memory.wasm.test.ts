import { SOME, testTrainingMemory } from './suites/memory.js';

testTrainingMemory('wasm', SOME);
