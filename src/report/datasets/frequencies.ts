import type { ClassFrequency, Frequencies } from '../../data/datasets/frequencies.js';
import type { Size } from '../../data/image.js';
import { formatCount, formatNumber, formatShare } from '../../support/format.js';

export interface FrequencyLayout {
  /** Classes by their frequency or by their id. */
  readonly sort: 'frequency' | 'id';
  /** Columns of the terminal. */
  readonly columns: number;
  /** Bars in the colours of the classes, for terminals of 24-bit colours. */
  readonly colour: boolean;
}

/** Names are cut to this length; the longest published one has 19 characters. */
const LONGEST_NAME = 22;

/** One eighth to seven eighths of a cell. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** A bar of a length in cells, to an eighth; what is not nothing is shown. */
function bar(cells: number): string {
  const eighths = cells > 0 ? Math.max(1, Math.round(cells * 8)) : 0;
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

function cut(name: string, width: number): string {
  return name.length > width ? `${name.slice(0, width - 1)}…` : name.padEnd(width);
}

const formatSize = ({ height, width }: Size) => `${height}x${width}`;

/** The class frequencies of a split as lines for a terminal: a bar a class, of which the longest fills the width. */
export function formatFrequencies(frequencies: Frequencies, { sort, columns, colour }: FrequencyLayout): string {
  const { name, split, synthetic, images, smallest, largest, pixels, ignored, classes } = frequencies;
  const [from, to] = [smallest, largest].map(formatSize);
  const width = Math.min(LONGEST_NAME, Math.max('class'.length, ...classes.map((one) => one.name.trim().length)));
  const digits = Math.max('images'.length, String(images).length);
  // Two blanks between columns; shares are "100.00 %".
  const room = Math.max(10, columns - width - digits - '100.00 %'.length - 6);
  const highest = Math.max(...classes.map(({ share }) => share));
  const line = (one: ClassFrequency) => {
    const drawn = bar(highest === 0 ? 0 : (one.share / highest) * room);
    const [red, green, blue] = one.colour;
    const shown = colour && drawn !== '' ? `\u001b[38;2;${red};${green};${blue}m${drawn}\u001b[39m` : drawn;
    const share = `${formatShare(one.share)} %`.padStart('100.00 %'.length);
    return `${cut(one.name.trim(), width)}  ${share}  ${String(one.images).padStart(digits)}  ${shown}`.trimEnd();
  };
  const sorted = sort === 'id' ? classes : [...classes].sort((a, b) => b.pixels - a.pixels || a.id - b.id);
  const absent = classes.filter((one) => one.pixels === 0).length;
  return [
    `${name}${synthetic ? ' (synthetic)' : ''}, ${split}: ${formatNumber(images, 'image')} of ${from === to ? from : `${from} to ${to}`} (HxW)`,
    `${formatCount(pixels)} pixels, ${ignored === 0 ? 'none ignored' : `of which ${formatShare(ignored / pixels)} % are ignored`}` +
      `${absent === 0 ? '' : `; ${absent} of ${classes.length} classes ${absent === 1 ? 'does' : 'do'} not occur`}`,
    '',
    `${'class'.padEnd(width)}  ${'share'.padStart('100.00 %'.length)}  ${'images'.padStart(digits)}`,
    ...sorted.map(line),
  ].join('\n');
}
