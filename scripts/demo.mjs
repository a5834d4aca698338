// Everything at small scale, from a fresh clone: set-up, a generated data set in the format of Cityscapes, training, evaluation,
// benchmark, table.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fcn } from './fcn.mjs';
import { root, setUp } from './setup.mjs';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
// Everything is below the ignored runs folder: a demo's record is not kept.
const DATA = path.join('runs', 'demo', 'data');
const RUNS = path.join('runs', 'demo', 'runs');
const RESULTS = path.join('runs', 'demo', 'results');

await setUp();
// An earlier demo that was interrupted may have left an incomplete data set.
rmSync(path.join(root, DATA), { recursive: true, force: true });
fcn('datasets', 'generate', 'cityscapes', '--images', '48', '--size', '128x256', '--seed', '0', '--data-root', DATA);
fcn('reproduce', ROW, '--profile', 'smoke', '--data-root', DATA, '--runs', RUNS, '--results', RESULTS);
fcn('table', '--runs', RUNS, '--results', RESULTS);
