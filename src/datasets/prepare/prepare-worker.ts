import { workerData } from 'node:worker_threads';
import { serve } from '../../data/workers/pool.js';
import type { Finished } from './journal.js';
import { doTask, type PrepareSettings, type PrepareTask } from './tasks.js';

serve<PrepareTask, Finished | null>(async (task) => {
  return { result: await doTask(task, workerData as PrepareSettings), transfer: [] };
});
