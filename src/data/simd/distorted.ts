import { NORMALISED } from '../transforms/normalise.js';
import { affineTable, type PhotometricStep, truncatedColumns } from '../transforms/photometric.js';
import type { Workspace } from './workspace.js';

/** What is done with a row of pixels, in place. */
type RowStep = (row: number) => void;

interface RowWork {
  readonly steps: readonly RowStep[];
  /** Where the table is that looks up the normalised value of each byte: [3, 256]. */
  readonly normalised: number;
}

const compose = (first: Uint8Array | null, second: Uint8Array): Uint8Array =>
  first === null ? second : first.map((value) => second[value]!);

/**
 * Prepares distorting and normalising rows of `width` pixels. Neighbouring steps that look bytes up become one, and the last ones a
 * part of normalising.
 */
export function prepareRows(workspace: Workspace, width: number, steps: readonly PhotometricStep[]): RowWork {
  const { code } = workspace;
  const truncated = truncatedColumns(width);
  const rowSteps: RowStep[] = [];
  let bytes = null as Uint8Array | null;
  const changeHsv = (shift: number, factor: number): void => {
    if (bytes !== null) {
      const table = workspace.place(bytes);
      rowSteps.push((row) => code.applyTable(row, width * 3, table));
      bytes = null;
    }
    rowSteps.push((row) => code.changeHsv(row, width, truncated, shift, factor));
  };
  for (const { operation, value } of steps) {
    if (operation === 'hue') changeHsv(value, 1);
    else if (operation === 'saturation') changeHsv(0, value);
    else bytes = compose(bytes, operation === 'brightness' ? affineTable(1, value) : affineTable(value, 0));
  }
  const normalised = workspace.reserve(3 * 256 * 4);
  const floats = workspace.floats(normalised, 3 * 256);
  for (const [channel, table] of NORMALISED.entries()) {
    for (let value = 0; value < 256; value++)
      floats[channel * 256 + value] = table[bytes === null ? value : bytes[value]!]!;
  }
  return { steps: rowSteps, normalised };
}
