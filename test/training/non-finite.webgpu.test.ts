import { nonFiniteSuite } from './suites/non-finite.js';

nonFiniteSuite('webgpu');
