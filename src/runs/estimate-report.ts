import type { Stage } from '../records/record.js';
import { formatBytes, formatCount, formatNumber, formatSeconds } from '../support/format.js';
import { type Entry, entryLines, wrap } from '../terminal/layout.js';
import { type EstimateBasis, type RunEstimate, sumIfKnown } from './estimate.js';
import { orDash } from './list.js';
import type { TimingBasis } from './network-timing.js';

/** In days from two days on. */
function formatDuration(seconds: number): string {
  const day = 24 * 3600;
  return seconds < 2 * day ? formatSeconds(seconds) : `${(seconds / day).toFixed(1)} days`;
}

/** A run's two lines below the headings of `estimateLines`: counts, then times and totals. */
function entryOf({ row, seed, stages, flops, seconds, memoryBytes, diskBytes }: RunEstimate): Entry {
  return {
    name: `${row}, seed ${seed}`,
    lines: [
      ['count', ...stages.map(({ count }) => orDash(count, String)), '', '', '', ''],
      [
        'time ≈',
        ...stages.map(({ seconds }) => orDash(seconds, formatDuration)),
        orDash(seconds, formatDuration),
        orDash(flops, formatCount),
        formatBytes(memoryBytes),
        formatDisk(diskBytes),
      ],
    ],
  };
}

const formatDisk = (bytes: number) => (bytes === 0 ? '–' : formatBytes(bytes));

/** The runs and, if there are several, their sum. */
function estimateLines(runs: readonly RunEstimate[], disk: number, width: number): string[] {
  const stages: readonly Stage[] = runs[0]!.stages.map(({ stage }) => stage);
  const seconds = sumIfKnown(runs.map((run) => run.seconds));
  const flops = sumIfKnown(runs.map((run) => run.flops));
  const sums = [orDash(seconds, formatDuration), orDash(flops, formatCount), '', formatDisk(disk)];
  const total = { name: `All ${runs.length} runs`, lines: [['time ≈', ...stages.map(() => ''), ...sums]] };
  const entries = [...runs.map(entryOf), ...(runs.length === 1 ? [] : [total])];
  return entryLines(['Run', '', ...stages, 'all', 'FLOPs', 'Memory', 'Disk'], entries, { words: 1, width }).lines;
}

/** What runs would take, their sum, how it was estimated, and what would stop them, in lines of at most `width` characters. */
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
  // The note begins with the rows' names.
  const problems = rowsBy(runs, ({ row, problem }) =>
    problem?.startsWith(row) ? problem.slice(row.length).replace(/^:? /, '') : problem,
  );
  const replaced = rowsBy(runs, ({ replacedPrecision }) => replacedPrecision);
  const notes = [
    `Estimates: iterations or images, and about the time of the network, of each stage on ${hardware}.`,
    ...timingOf(runs),
    `The bare convolution ran at ${rates.join(', ')}.`,
    'Not included: starting, waiting for data, and writing checkpoints.',
    'Memory: at most, of the whole process; on a GPU, of the tensors there. It is computed from shapes.',
    'Disk: the most checkpoints that exist at a time.',
    ...(large.length > 0
      ? [
          `Need more memory than is available (${formatBytes(memoryBytes!)}): ${large.map(({ row }) => row).join(', ')}.`,
        ]
      : []),
    ...(disk > freeBytes ? [`The runs need more disk space than is free (${formatBytes(freeBytes)}).`] : []),
    ...[...replaced].map(
      ([precision, rows]) =>
        `In the other 16-bit float, because the hardware does not have ${precision}: ${rows.join(', ')}.`,
    ),
    ...[...problems].map(([problem, rows]) => `Would not start: ${rows.join(', ')}: ${problem}`),
  ];
  return [...estimateLines(runs, disk, width), '', ...notes.flatMap((note) => wrap(note, width))].join('\n');
}

/** The distinct rows of each note. */
function rowsBy(
  runs: readonly RunEstimate[],
  noteOf: (run: RunEstimate) => string | null | undefined,
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const run of runs) {
    const note = noteOf(run) ?? null;
    if (note !== null) found.set(note, [...new Set([...(found.get(note) ?? []), run.row])]);
  }
  return found;
}

/** How the times of runs were found, in lines. */
function timingOf(runs: readonly RunEstimate[]): string[] {
  const noteOf = (basis: TimingBasis, note: (some: string) => string) => {
    const count = runs.filter(({ timing }) => timing.training === basis || timing.inference === basis).length;
    return count === 0 ? [] : [note(runs.length === 1 ? '' : ` (${count} of ${formatNumber(runs.length, 'run')})`)];
  };
  return [
    'Measured just now: a training step and an image of each network.',
    ...noteOf('reduced', (some) => `If too slow, a smaller one, scaled by operations${some}: a rough estimate.`),
    ...noteOf(
      'share',
      (some) => `Not measured: from other networks' mean share of the bare convolution's rate${some}; rougher still.`,
    ),
  ];
}
