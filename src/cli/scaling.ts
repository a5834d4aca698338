import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type StartOptions, startEngine } from '../engines/selection.js';
import {
  type MeasureOrder,
  measureScaling,
  type ScalingStep,
  scalingFile,
  timedSteps,
} from '../measurement/scaling.js';
import { launchHere } from '../parallel/launch.js';
import type { Processes } from '../parallel/processes.js';
import { divideBatch } from '../parallel/shards.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { writeFileAtomic } from '../support/files.js';
import { formatBytes, formatPercent, formatSeconds } from '../support/format.js';

/** Numbers of processes. @throws UserError if one is none. */
export function parseCounts(text: string): number[] {
  const counts = text.split(',').map((part) => Number(part));
  if (counts.some((count) => !Number.isInteger(count) || count < 1)) {
    throw new UserError(`--processes ${text}: expected whole numbers from 1 on, as in 1,2,4.`);
  }
  return counts;
}

/** Starts processes that measure, one number of them after the other. @throws UserError if a number does not divide the batch. */
export async function measureEach(
  counts: readonly number[],
  { training, benchmark }: Experiment,
  onStart: (count: number) => void,
): Promise<ScalingStep[]> {
  for (const count of counts) divideBatch(training.batch, count, benchmark.trainingBatch);
  const folder = await mkdtemp(path.join(tmpdir(), 'fcn-scaling-'));
  try {
    const steps: ScalingStep[] = [];
    for (const count of counts) {
      onStart(count);
      const code = await launchHere(count, { words: wordsFor(count), environment: { FCN_SCALING: folder } });
      if (code !== 0) throw new UserError(`Measuring ${count} processes has failed with exit code ${code}.`);
      steps.push(JSON.parse(await readFile(scalingFile(folder), 'utf8')) as ScalingStep);
    }
    return steps;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** This command, for one number of processes. */
function wordsFor(count: number): string[] {
  const words = process.argv.slice(1).filter((word) => word !== '--json');
  const at = words.indexOf('--processes');
  if (at === -1) return words.map((word) => (word.startsWith('--processes=') ? `--processes=${count}` : word));
  return words.with(at + 1, `${count}`);
}

/** In process 0: measures with the others, and leaves the result in a folder. */
export async function measureHere(
  folder: string,
  experiment: Experiment,
  processes: Processes,
  options: StartOptions,
): Promise<void> {
  processes.group?.sendAll({ kind: 'measure', experiment } satisfies MeasureOrder as MeasureOrder);
  const step = await measureScaling(await startEngine(options), experiment, processes, timedSteps(experiment));
  await writeFileAtomic(scalingFile(folder), JSON.stringify(step));
}

/** One line for each number of processes. */
export function formatScaling(steps: readonly ScalingStep[]): string {
  const [first] = steps;
  return steps
    .map(({ processes, secondsPerStep, processorSeconds, exchangeShare, ...step }) => {
      const ratio = (secondsPerStep / first!.secondsPerStep).toFixed(2);
      const ofProcessors = (processorSeconds / first!.processorSeconds).toFixed(2);
      return (
        `${processes}: ${formatSeconds(secondsPerStep)} a step (${ratio}), waiting ${formatPercent(step.waitingShare)} %; ` +
        `${formatSeconds(processorSeconds)} of processors (${ofProcessors}), the exchange ${formatPercent(exchangeShare)} % of it; ` +
        `${formatBytes(step.bytesSent)} sent, ${formatBytes(step.liveTensorBytes)} of tensors`
      );
    })
    .join('\n');
}
