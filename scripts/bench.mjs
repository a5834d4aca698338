// What bench-step.mjs and bench-checkpoint.mjs have in common.

/** A row for each depth of the backbone. */
export const ROWS = {
  18: 'fcn_r18-d8_512x1024_80k_cityscapes',
  50: 'fcn_r50-d8_512x1024_40k_cityscapes',
  101: 'fcn_r101-d8_512x1024_40k_cityscapes',
};

export function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

/** Checks --depth and --size. @returns [height, width] */
export function readNetworkFlags({ depth, size }) {
  const match = /^(\d+)x(\d+)$/.exec(size);
  if (!(depth in ROWS)) fail(`--depth ${depth}: expected one of ${Object.keys(ROWS).join(', ')}`);
  if (match === null) fail(`--size ${size}: expected HEIGHTxWIDTH, such as 256x512`);
  return [Number(match[1]), Number(match[2])];
}

/** @returns The flag's whole number. */
export function readCount(name, value) {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1) fail(`--${name} ${value}: expected a whole number from 1`);
  return count;
}
