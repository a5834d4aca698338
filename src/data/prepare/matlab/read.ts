import { inflateSync } from 'node:zlib';

import { type MatlabArray, MatlabError, MatlabVersionError } from './array.js';
import { type Element, Elements, Type } from './elements.js';
import { readMatrix } from './matrix.js';

/**
 * MAT-files of level 5 (MATLAB v5 to v7), as "MAT-File Format" (The MathWorks, R2024) describes them: numeric arrays,
 * characters, cells and structures, compressed or not, of either byte order. Everything is checked against the bytes there
 * are, so a damaged file is an error and never a wrong array.
 */

/** Bytes of the header: text, offset, version, byte order. */
const HEADER = 128;
const VERSION_5 = 0x0100;

/** A variable may not take more when it is decompressed: far more than any label map, far less than the memory. */
const LARGEST = 2 ** 28;

const HDF5 = Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);
const LEVEL_5 = 'expected one of level 5 (save -v7 or -v6)';

/** @throws MatlabVersionError or MatlabError unless the header is that of level 5; returns whether the file is little-endian. */
function readHeader(bytes: Buffer): boolean {
  if (bytes.subarray(0, 8).equals(HDF5)) throw new MatlabVersionError(`an HDF5 file, ${LEVEL_5}`);
  if (bytes.length < HEADER) throw new MatlabError('no MAT-file, or truncated');
  // Level 4 begins with a number below 5000 that tells type and byte order; from level 5 on there is text without zeros.
  if (bytes.subarray(0, 4).includes(0)) throw new MatlabVersionError(`no MAT-file, or one of level 4; ${LEVEL_5}`);
  const mark = bytes.toString('latin1', 126, 128);
  if (mark !== 'IM' && mark !== 'MI') throw new MatlabError('no MAT-file (no mark of the byte order)');
  const little = mark === 'IM';
  const version = little ? bytes.readUInt16LE(124) : bytes.readUInt16BE(124);
  if (version === 0x0200) throw new MatlabVersionError(`a MAT-file of version 7.3 (HDF5), ${LEVEL_5}`);
  if (version !== VERSION_5)
    throw new MatlabVersionError(`a MAT-file of version 0x${version.toString(16)}, ${LEVEL_5}`);
  return little;
}

function decompress(data: Buffer, little: boolean): Element {
  let bytes: Buffer;
  try {
    bytes = inflateSync(data, { maxOutputLength: LARGEST });
  } catch (error) {
    throw new MatlabError(`damaged (${(error as Error).message})`, { cause: error });
  }
  return new Elements(bytes, little).next();
}

/**
 * The variables of a MAT-file of level 5.
 * @throws MatlabVersionError for another version; MatlabError for a truncated or damaged file.
 */
export function readMatlab(bytes: Buffer): Map<string, MatlabArray> {
  const little = readHeader(bytes);
  const variables = new Map<string, MatlabArray>();
  const elements = new Elements(bytes.subarray(HEADER), little);
  while (!elements.ended) {
    const outer = elements.next();
    const { type, data } = outer.type === Type.compressed ? decompress(outer.data, little) : outer;
    if (type !== Type.matrix) continue;
    const { name, array } = readMatrix(data, little);
    variables.set(name, array);
  }
  return variables;
}
