import { workerData } from 'node:worker_threads';
import { serve } from '../../data/workers/pool.js';
import { Painter, type PainterSettings } from './painter.js';
import type { GenerateTask } from './plan.js';

const painter = new Painter(workerData as PainterSettings);

serve<GenerateTask, null>(async (task) => ({ result: await painter.paint(task), transfer: [] }));
