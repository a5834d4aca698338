import { UserError } from '../support/errors.js';

/** An array of a .npy file, C order. */
export interface NpyArray<T extends Float32Array | Uint8Array = Float32Array | Uint8Array> {
  readonly shape: readonly number[];
  readonly data: T;
}

const MAGIC = '\x93NUMPY';
const VERSION_OFFSET = MAGIC.length;
/** Magic, two bytes of version, and the header's length: two bytes in version 1, four in 2 and 3. */
const PREAMBLE = { 1: 10, 2: 12, 3: 12 } as const;
/** numpy itself refuses longer headers. */
const LONGEST_HEADER = 10_000;

/**
 * Reads a .npy file (https://numpy.org/neps/nep-0001-npy-format.html) of little-endian float32 (`<f4`) or bytes (`|u1`)
 * in C order. Executes nothing and allocates no more than the file holds.
 * @throws UserError naming `file` where it is another format, another type, or not exactly as long as its shape asks for.
 */
export function parseNpy(bytes: Uint8Array, file: string): NpyArray {
  const wrong = (what: string) => new UserError(`${file}: ${what}.`, 'Use another copy of the reference data.');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.toString('latin1', 0, VERSION_OFFSET) !== MAGIC) throw wrong('not a .npy file');
  const version = view[VERSION_OFFSET];
  if (version !== 1 && version !== 2 && version !== 3) throw wrong(`.npy version ${version}, expected 1, 2 or 3`);
  const start = PREAMBLE[version];
  if (view.length < start) throw wrong('ends inside the .npy header');
  const length = version === 1 ? view.readUInt16LE(8) : view.readUInt32LE(8);
  if (length > LONGEST_HEADER || start + length > view.length) throw wrong(`its header claims ${length} bytes`);

  const header = view.toString('latin1', start, start + length);
  const dtype = /'descr': '([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order': (True|False)/.exec(header)?.[1];
  const sides = /'shape': \(([\d, ]*)\)/.exec(header)?.[1];
  if (dtype === undefined || order === undefined || sides === undefined) throw wrong('not a .npy header');
  if (order === 'True') throw wrong('Fortran order, expected C order');
  if (dtype !== '<f4' && dtype !== '|u1') throw wrong(`dtype ${dtype}, expected <f4 or |u1`);
  const shape = sides
    .split(',')
    .filter((side) => side.trim() !== '')
    .map(Number);
  const size = shape.reduce((product, side) => product * side, dtype === '<f4' ? 4 : 1);
  const body = view.subarray(start + length);
  if (body.length !== size) throw wrong(`${body.length} bytes of values, its shape [${shape}] asks for ${size}`);
  // Copied: the elements may not be aligned, and the caller may change them.
  const copy = Uint8Array.from(body);
  return { shape, data: dtype === '<f4' ? new Float32Array(copy.buffer) : copy };
}
