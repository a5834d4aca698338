// A process of its own that computes `convolutionBits` and prints them: an engine has one number of threads in a process.

import { withDecidedPaths } from '../engines/engine.js';
import { startEngine } from '../engines/selection.js';
import { convolutionBits } from './convolution-bits.js';
import type { BitsTask } from './thread-bits.js';

const { engine: name, convolution, paths, experiment, images } = JSON.parse(process.argv[2]!) as BitsTask;
const engine = await startEngine({ engine: name, convolution });
const bits = convolutionBits(withDecidedPaths(engine, new Map(paths)), experiment, images);
process.stdout.write(JSON.stringify([...bits]));
