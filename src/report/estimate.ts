import type { EstimateBasis, RunEstimate } from '../runs/estimate.js';
import type { Stage } from '../runs/stage-names.js';
import { formatBytes, formatCount, formatSeconds } from '../support/format.js';
import { terminalTable } from './layout.js';

const or = <T>(value: T | null, format: (value: T) => string): string => (value === null ? '–' : format(value));

/** Days where hours are too many to grasp. */
function formatDuration(seconds: number): string {
  const day = 24 * 3600;
  return seconds < 2 * day ? formatSeconds(seconds) : `${(seconds / day).toFixed(1)} days`;
}

/** What runs would take: a line a run, then the sum, what it rests on, and what would stop them. */
export function formatEstimate(
  { hardware, convolutionGflops, memoryBytes, freeBytes }: EstimateBasis,
  runs: readonly RunEstimate[],
): string {
  const names: readonly Stage[] = runs[0]!.stages.map(({ stage }) => stage);
  const sum = (pick: (run: RunEstimate) => number | null) =>
    runs.map(pick).reduce((total, value) => (total === null || value === null ? null : total + value), 0);
  const disk = runs.reduce((total, { diskBytes }) => total + diskBytes, 0);
  const table = terminalTable({
    head: ['Row', 'Seed', ...names, 'FLOPs', 'Time ≥', 'Memory', 'Disk'],
    body: [
      ...runs.map(({ row, seed, stages, flops, seconds, memoryBytes, diskBytes }) => [
        row,
        String(seed),
        ...stages.map(({ count, seconds }) => `${or(count, String)}: ${or(seconds, formatDuration)}`),
        or(flops, formatCount),
        or(seconds, formatDuration),
        formatBytes(memoryBytes),
        diskBytes === 0 ? '–' : formatBytes(diskBytes),
      ]),
      ...(runs.length === 1
        ? []
        : [
            [
              'total',
              '',
              ...names.map(() => ''),
              or(
                sum(({ flops }) => flops),
                formatCount,
              ),
              or(
                sum(({ seconds }) => seconds),
                formatDuration,
              ),
              '',
              disk === 0 ? '–' : formatBytes(disk),
            ],
          ]),
    ],
  });
  const rates = Object.entries(convolutionGflops).map(
    ([precision, gflops]) => `${formatCount(Math.round(gflops * 1e9))}FLOP/s in ${precision}`,
  );
  const large = memoryBytes === null ? [] : runs.filter((run) => run.memoryBytes > memoryBytes);
  const problems = new Map<string, string[]>();
  for (const { row, problem } of runs) {
    if (problem !== null) problems.set(problem, [...(problems.get(problem) ?? []), row]);
  }
  return [
    table,
    'Estimates. Of each stage: iterations or images, and the time of its convolutions at the rate of a bare one,',
    `${rates.join(', ')}, measured just now on ${hardware}.`,
    'Loading, resizes, batch norm and the update come on top. ',
    'Memory: live tensors of a training step or of inference, whichever are more, from their shapes.',
    'Disk: checkpoints, as many as are there at a time.',
    ...(large.length > 0
      ? [`More memory than is free (${formatBytes(memoryBytes!)}): ${large.map(({ row }) => row).join(', ')}.`]
      : []),
    ...(disk > freeBytes ? [`More disk than is free where the runs go (${formatBytes(freeBytes)}).`] : []),
    ...[...problems].map(([problem, rows]) => `Would not start: ${[...new Set(rows)].join(', ')}: ${problem}`),
  ].join('\n');
}
