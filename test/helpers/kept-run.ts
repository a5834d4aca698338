import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

/** A run that the repository keeps, interrupted after two iterations: its directory. */
export const KEPT_RUN = path.join(packageRoot(), 'test', 'runs', 'interrupted-before');

/** The row that it trains, and the flags of its recipe: a network whose weights take 68 kB. */
export const KEPT_ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
export const KEPT_RECIPE = ['--profile', 'smoke', '--set', 'width=2'];

/** Its weights. */
export const KEPT_WEIGHTS = path.join(KEPT_RUN, 'checkpoints', 'iteration-2.safetensors');
