import type { Stage } from '../records/record.js';
import { formatBytes, formatCount, formatNumber, formatTimeRange } from '../support/format.js';
import { type ColumnLine, fitColumns, wrap } from '../terminal/layout.js';
import { type EstimateBasis, type RunEstimate, sumIfKnown, sumOfRanges } from './estimate.js';
import { orDash } from './list.js';
import type { Range, TimingBasis } from './network-timing.js';

const formatRange = (range: Range | null) => orDash(range, ([low, high]) => formatTimeRange(low, high));

const formatDisk = (bytes: number) => (bytes === 0 ? '' : `, disk ${formatBytes(bytes)}`);

/** A run's lines below the heads of `estimateLines`. */
function linesOf(run: RunEstimate): ColumnLine[] {
  const { row, seed, stages, flops, secondsRange, memoryBytes, diskBytes } = run;
  return [
    [{ rest: `${row}, seed ${seed}` }],
    ['  count', ...stages.map(({ count }) => orDash(count, String)), ''],
    ['  FLOPs', ...stages.map((stage) => orDash(stage.flops, formatCount)), orDash(flops, formatCount)],
    ['  time', ...stages.map((stage) => formatRange(stage.secondsRange)), formatRange(secondsRange)],
    [{ rest: `  memory ${formatBytes(memoryBytes)}${formatDisk(diskBytes)}` }],
  ];
}

/** The runs and, if there are several, their sum. */
function estimateLines(runs: readonly RunEstimate[], disk: number, width: number): string[] {
  const stages: readonly Stage[] = runs[0]!.stages.map(({ stage }) => stage);
  const empty = stages.map(() => '');
  const flops = orDash(sumIfKnown(runs.map((run) => run.flops)), formatCount);
  const time = formatRange(sumOfRanges(runs.map((run) => run.secondsRange)));
  const total: ColumnLine[] = [
    [{ rest: `All ${runs.length} runs${formatDisk(disk)}` }],
    ['  FLOPs', ...empty, flops],
    ['  time', ...empty, time],
  ];
  const lines = [['', ...stages, 'all'], ...runs.flatMap(linesOf), ...(runs.length === 1 ? [] : total)];
  return fitColumns(lines, { words: 1, width, spare: [] }).lines;
}

/** What runs would take, their sum, and how it was estimated, in lines of at most `width` characters. */
export function formatEstimate(
  { hardware, convolutionGflops, freeBytes, keptTimings }: EstimateBasis,
  runs: readonly RunEstimate[],
  width: number,
): string {
  const disk = runs.reduce((total, { diskBytes }) => total + diskBytes, 0);
  const rates = Object.entries(convolutionGflops).map(
    ([precision, gflops]) => `${formatCount(Math.round(gflops * 1e9))}FLOP/s in ${precision}`,
  );
  const notes = [
    `Estimates for ${hardware}, where a bare convolution ran at ${rates.join(', ')}.`,
    'Count: iterations or images. FLOPs: those of convolutions, a multiply-add counts as two.',
    ...timingNotes(runs, 'training', 'a training step'),
    ...timingNotes(runs, 'inference', 'inference of an image'),
    ...(runs.some(({ timingIsKept }) => timingIsKept)
      ? [
          `Measured in an earlier dry run, and scaled by the bare convolution's rate; to measure again, remove ${keptTimings}`,
        ]
      : []),
    'Not included: starting, waiting for data, and writing checkpoints.',
    'Memory: of the whole process at its peak; on a GPU, of the tensors there. Disk: the most checkpoints at a time.',
    ...(disk > freeBytes ? [`All runs together need more disk space than is free (${formatBytes(freeBytes)}).`] : []),
  ];
  return [...estimateLines(runs, disk, width), '', ...notes.flatMap((note) => wrap(note, width))].join('\n');
}

const BASES: Readonly<Record<TimingBasis, (sample: string) => string>> = {
  measured: (sample) => `measured on ${sample} of this network here; the range is twice the scatter of the repetitions`,
  reduced: (sample) =>
    `from ${sample} of this network on two small inputs, along the line through them; the range is that of all lines through the repetitions`,
  share: () => "0.5 to 3.5 times what half of the bare convolution's rate gives, as no measurement fits into memory",
};

/** How the times of training, or of inference, were found. */
function timingNotes(runs: readonly RunEstimate[], kind: 'training' | 'inference', sample: string): string[] {
  const used = [...new Set(runs.map(({ timing }) => timing[kind]))].filter((basis) => basis !== null);
  return used.map((basis) => {
    const count = runs.filter(({ timing }) => timing[kind] === basis).length;
    const some = used.length === 1 ? '' : ` (${count} of ${formatNumber(runs.length, 'run')})`;
    return `Time of ${kind}${some}: ${BASES[basis](sample)}.`;
  });
}
