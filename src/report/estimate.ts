import type { EstimateBasis, RunEstimate } from '../runs/estimate.js';
import type { TimingBasis } from '../runs/network-timing.js';
import type { Stage } from '../runs/stage-names.js';
import { formatBytes, formatCount, formatSeconds } from '../support/format.js';
import { type Entry, entryLines } from './entries.js';
import { wrap } from './wrap.js';

const or = <T>(value: T | null, format: (value: T) => string): string => (value === null ? '–' : format(value));

/** Days where hours are too many to grasp. */
function formatDuration(seconds: number): string {
  const day = 24 * 3600;
  return seconds < 2 * day ? formatSeconds(seconds) : `${(seconds / day).toFixed(1)} days`;
}

/** What a run would take, below the heads of `estimateLines`: counts of its stages, then times and all the rest. */
function entryOf({ row, seed, stages, flops, seconds, memoryBytes, diskBytes }: RunEstimate): Entry {
  return {
    name: `${row}, seed ${seed}`,
    lines: [
      ['count', ...stages.map(({ count }) => or(count, String)), '', '', '', ''],
      [
        'time ≈',
        ...stages.map(({ seconds }) => or(seconds, formatDuration)),
        or(seconds, formatDuration),
        or(flops, formatCount),
        formatBytes(memoryBytes),
        formatDisk(diskBytes),
      ],
    ],
  };
}

const formatDisk = (bytes: number) => (bytes === 0 ? '–' : formatBytes(bytes));

/** The runs, and, where there are several, their sum. */
function estimateLines(runs: readonly RunEstimate[], disk: number, width: number): string[] {
  const stages: readonly Stage[] = runs[0]!.stages.map(({ stage }) => stage);
  const sum = (pick: (run: RunEstimate) => number | null) =>
    runs.map(pick).reduce((total, value) => (total === null || value === null ? null : total + value), 0);
  const seconds = or(
    sum((run) => run.seconds),
    formatDuration,
  );
  const flops = or(
    sum((run) => run.flops),
    formatCount,
  );
  const total = {
    name: `All ${runs.length} runs`,
    lines: [['time ≈', ...stages.map(() => ''), seconds, flops, '', formatDisk(disk)]],
  };
  const entries = [...runs.map(entryOf), ...(runs.length === 1 ? [] : [total])];
  return entryLines(['Run', '', ...stages, 'all', 'FLOPs', 'Memory', 'Disk'], entries, { words: 1, width }).lines;
}

/**
 * What runs would take, their sum, what it rests on, and what would stop them.
 * @param width Most characters of a line.
 */
export function formatEstimate(
  { hardware, convolutionGflops, memoryBytes, freeBytes }: EstimateBasis,
  runs: readonly RunEstimate[],
  width: number,
): string {
  const disk = runs.reduce((total, { diskBytes }) => total + diskBytes, 0);
  const rates = Object.entries(convolutionGflops).map(
    ([precision, gflops]) => `${formatCount(Math.round(gflops * 1e9))}FLOP/s in ${precision}`,
  );
  const large = memoryBytes === null ? [] : runs.filter((run) => run.memoryBytes > memoryBytes);
  // What is said of a row begins with its name, which stands before it anyway.
  const problems = rowsBy(runs, ({ row, problem }) =>
    problem?.startsWith(row) ? problem.slice(row.length).replace(/^:? /, '') : problem,
  );
  const replaced = rowsBy(runs, ({ replacedPrecision }) => replacedPrecision);
  const notes = [
    `Estimates: iterations or images, and about the time of the network, of each stage on ${hardware}.`,
    ...timingOf(runs),
    `The bare convolution ran at ${rates.join(', ')}.`,
    'Starting up, data that is read more slowly than it is used, and checkpoints come on top.',
    'Memory: live tensors of a training step or of inference, whichever are more, from their shapes.',
    'Disk: checkpoints, as many as are there at a time.',
    ...(large.length > 0
      ? [`More memory than is free (${formatBytes(memoryBytes!)}): ${large.map(({ row }) => row).join(', ')}.`]
      : []),
    ...(disk > freeBytes ? [`More disk than is free where the runs go (${formatBytes(freeBytes)}).`] : []),
    ...[...replaced].map(
      ([precision, rows]) =>
        `In the other 16-bit float, as the hardware does not have ${precision}: ${rows.join(', ')}.`,
    ),
    ...[...problems].map(([problem, rows]) => `Would not start: ${rows.join(', ')}: ${problem}`),
  ];
  return [...estimateLines(runs, disk, width), '', ...notes.flatMap((note) => wrap(note, width))].join('\n');
}

/** The rows, each once, of which the same is to be said. */
function rowsBy(
  runs: readonly RunEstimate[],
  said: (run: RunEstimate) => string | null | undefined,
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const run of runs) {
    const text = said(run);
    if (text === null || text === undefined) continue;
    found.set(text, [...new Set([...(found.get(text) ?? []), run.row])]);
  }
  return found;
}

/** What the times of runs rest on, in lines. */
function timingOf(runs: readonly RunEstimate[]): string[] {
  const of = (basis: TimingBasis) => {
    const count = runs.filter(({ timing }) => timing.training === basis || timing.inference === basis).length;
    return { any: count > 0, some: runs.length === 1 ? '' : ` (${count} of ${runs.length} runs)` };
  };
  const [reduced, share] = [of('reduced'), of('share')];
  return [
    'Measured just now: a training step and an image of each network.',
    ...(reduced.any
      ? [`Where that would take long, a smaller one, scaled by operations${reduced.some}: a rough estimate.`]
      : []),
    ...(share.any
      ? [
          `Where there was no time, other networks' mean share of the bare convolution's rate${share.some}: rougher still.`,
        ]
      : []),
  ];
}
