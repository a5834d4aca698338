import { processMemory } from '../../engines/memory.js';
import type { CheckedRun, RunCheckOptions } from '../../runs/checks.js';
import { type MemoryForRun, memoryForRun, neededBytes } from '../../runs/memory-check.js';
import { withPlannedThreads } from '../../runs/prediction-threads.js';
import { readingStages } from '../../runs/preflight.js';
import { flagsAlone, passed, type RunCheck } from '../../runs/run-check.js';
import { largestStageMemory } from '../../runs/stage-memory.js';
import { formatBytes } from '../../support/format.js';
import type { JobDescription } from '../job.js';
import { localOptionsOf } from './options.js';

/** Checks that the tasks that take most memory fit side by side, as far as each of them would start alone. */
export async function checkTogether(
  job: JobDescription,
  checked: readonly CheckedRun[],
  options: RunCheckOptions,
): Promise<readonly RunCheck[]> {
  const { maxParallel, threads } = localOptionsOf(job);
  const started = checked.filter(({ checks }) => checks.every(({ state }) => state !== 'missing'));
  const together = Math.min(maxParallel, started.length);
  const engine = started[0]?.engine ?? null;
  if (together < 2 || engine === null) return [];
  const available = await memoryForRun(engine);
  const free = freeBytes(available);
  if (free === null) return [];
  const needed: number[] = [];
  const stages = readingStages(options);
  for (const { run, available: fitted } of started) {
    const experiment = fitted?.experiment ?? run.experiment;
    const plan = { experiment, threads, mainBytes: free / together };
    const stage = await largestStageMemory({ ...options, experiment, stages }, engine, (memory) =>
      withPlannedThreads(memory, engine, plan),
    );
    needed.push(neededBytes(stage, engine));
  }
  return [memoryCheck(needed, { together, free, isGpu: available.gpu !== null, options })];
}

/** Memory for all tasks together; null if unknown. */
const freeBytes = ({ main, gpu }: MemoryForRun) =>
  gpu === null ? main.bytes - processMemory().residentBytes : gpu.free;

interface Together {
  readonly together: number;
  readonly free: number;
  readonly isGpu: boolean;
  readonly options: Pick<RunCheckOptions, 'commandWith' | 'force'>;
}

/** @param needed Bytes that each task needs. */
export function memoryCheck(needed: readonly number[], { together, free, isGpu, options }: Together): RunCheck {
  const largest = [...needed].sort((a, b) => b - a);
  const ofMost = (count: number) => largest.slice(0, count).reduce((sum, bytes) => sum + bytes, 0);
  const memory = isGpu ? 'GPU memory' : 'memory';
  const need = `${together} tasks at a time need up to ${formatBytes(ofMost(together))} of ${memory}`;
  if (ofMost(together) <= free) return passed('memory', `${need}; ${formatBytes(free)} are free`);
  let fitting = together - 1;
  while (fitting > 1 && ofMost(fitting) > free) fitting--;
  const { commandWith = flagsAlone, force } = options;
  return {
    name: 'memory',
    state: force ? 'warning' : 'missing',
    text: `${need}, but ${formatBytes(free)} are free.`,
    next: [commandWith(['--max-parallel', String(fitting)]), commandWith(['--force'])].join('\n'),
  };
}
