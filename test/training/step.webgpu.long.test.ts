import { stepSuite } from './suites/step.js';

stepSuite('webgpu');
