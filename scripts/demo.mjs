// Everything at small scale, from a fresh clone: set-up, a generated data set in the format of Cityscapes, training, evaluation,
// benchmark, and what to do next.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fcn } from './fcn.mjs';
import { root, setUp } from './setup.mjs';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
// Apart from data/, so that nobody takes these images for Cityscapes. The run is below runs/, as every run.
const DATA = path.join('demo', 'data');

await setUp();
// An earlier demo that was interrupted may have left an incomplete data set.
rmSync(path.join(root, DATA), { recursive: true, force: true });
fcn('datasets', 'generate', 'cityscapes', '--images', '48', '--size', '128x256', '--seed', '0', '--data-root', DATA);
fcn('reproduce', ROW, '--profile', 'smoke', '--data-root', DATA, '--fresh');
// fcn reproduce has said what may be done with the run, in columns as wide as these.
process.stderr.write(`${'  fcn table --summary'.padEnd(56)}published, measured here
${'  fcn init --help'.padEnd(56)}your own images

Everything works. fcn is node bin/run.js; npm link makes it a command.
`);
