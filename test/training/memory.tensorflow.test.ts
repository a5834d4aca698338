import { SOME, testTrainingMemory } from './suites/memory.js';

testTrainingMemory('tensorflow', SOME);
