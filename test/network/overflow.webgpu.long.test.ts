import { overflowSuite } from './suites/overflow.js';

overflowSuite('webgpu');
