import { readFileSync } from 'node:fs';

/** An array of a .npy file, C order. */
export interface NpyArray<T extends Float32Array | Uint8Array = Float32Array | Uint8Array> {
  readonly shape: readonly number[];
  readonly data: T;
}

/** Reads a version 1.0 .npy file of little-endian float32 or of bytes. */
export function readNpy(file: string): NpyArray {
  const bytes = readFileSync(file);
  const headerLength = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + headerLength);
  const dtype = /'descr': '([^']+)'/.exec(header)?.[1];
  const shapeText = /'shape': \(([^)]*)\)/.exec(header)?.[1];
  if (shapeText === undefined || !header.includes("'fortran_order': False"))
    throw new Error(`${file}: not a C-order .npy file`);
  const shape = shapeText
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  // Copied, so that the elements are aligned.
  const body = Uint8Array.from(bytes.subarray(10 + headerLength));
  if (dtype === '|u1') return { shape, data: body };
  if (dtype === '<f4') return { shape, data: new Float32Array(body.buffer) };
  throw new Error(`${file}: dtype ${dtype} is not read here`);
}

/** A float32 .npy file. */
export function readFloats(file: string): NpyArray<Float32Array> {
  const { shape, data } = readNpy(file);
  if (!(data instanceof Float32Array)) throw new Error(`${file}: not float32`);
  return { shape, data };
}

/** A .npy file of bytes. */
export function readBytes(file: string): NpyArray<Uint8Array> {
  const { shape, data } = readNpy(file);
  if (!(data instanceof Uint8Array)) throw new Error(`${file}: not bytes`);
  return { shape, data };
}
