import { type MatlabArray, MatlabContentError } from './array.js';

/**
 * A numeric matrix of whole numbers from 0 to 65535 as row-major [height, width].
 * @throws MatlabContentError where `array` is none.
 */
export function toLabelMap(
  array: MatlabArray | undefined,
  what: string,
): { height: number; width: number; data: Uint16Array } {
  if (array?.kind !== 'numeric' || array.dimensions.length !== 2) {
    throw new MatlabContentError(`${what} is ${array ? `no numeric matrix` : 'not there'}`);
  }
  const [height, width] = array.dimensions as [number, number];
  const data = new Uint16Array(height * width);
  for (let x = 0, from = 0; x < width; x++) {
    for (let y = 0; y < height; y++, from++) {
      const value = Number(array.values[from]);
      if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
        throw new MatlabContentError(`${what} holds ${value} at row ${y}, column ${x}, which is no label`);
      }
      data[y * width + x] = value;
    }
  }
  return { height, width, data };
}
