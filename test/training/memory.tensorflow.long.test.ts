import { OTHERS, testTrainingMemory } from './suites/memory.js';

testTrainingMemory('tensorflow', OTHERS);
