import { workerData } from 'node:worker_threads';
import type { FileProblem } from '../data/problem.js';
import { serve } from '../data/workers/pool.js';
import { compareHash, type RecordedHash } from './hash-comparison.js';

/** The data that each hashing worker starts with. */
export interface HashWorkerData {
  /** The data set's folder. */
  readonly folder: string;
}

serve<RecordedHash, FileProblem | null>(async (hash) => {
  return { result: await compareHash((workerData as HashWorkerData).folder, hash), transfer: [] };
});
