const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** A place of a curve: x from 0 to 1, and its value. */
export interface Sample {
  readonly x: number;
  readonly y: number;
}

/**
 * A curve as a line of blocks, a column an equal part of x from 0 to 1, each as high as the mean of its values; a blank where
 * there are none.
 * @param range Values of the lowest and the highest block.
 */
export function sparkline(samples: readonly Sample[], columns: number, [low, high]: readonly [number, number]): string {
  const sums = Array.from({ length: columns }, () => ({ sum: 0, count: 0 }));
  for (const { x, y } of samples) {
    // A value stands for the steps up to it; rounding must not move it on by one.
    const cell = sums[Math.min(Math.max(Math.ceil(x * columns - 1e-9) - 1, 0), columns - 1)]!;
    cell.sum += y;
    cell.count++;
  }
  return sums
    .map(({ sum, count }) => {
      if (count === 0) return ' ';
      const part = high === low ? 0.5 : (sum / count - low) / (high - low);
      return LEVELS[Math.min(Math.max(Math.floor(part * LEVELS.length), 0), LEVELS.length - 1)];
    })
    .join('');
}

/** A line of blocks, one a value, from the lowest to the highest of them. */
export function sparklineOf(values: readonly number[]): string {
  const samples = values.map((y, i) => ({ x: (i + 1) / values.length, y }));
  return sparkline(samples, values.length, [Math.min(...values), Math.max(...values)]);
}
