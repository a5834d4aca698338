import { testInferenceMemory } from './suites/memory.js';

testInferenceMemory('tensorflow');
