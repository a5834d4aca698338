import { testTrainingMemory } from './suites/memory.js';

testTrainingMemory('tensorflow');
