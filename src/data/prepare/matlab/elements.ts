import { MatlabError } from './array.js';

/** Data types of elements (table 1-1 of the format). */
export const Type = {
  int8: 1,
  uint8: 2,
  int32: 5,
  uint32: 6,
  matrix: 14,
  compressed: 15,
  utf8: 16,
  utf16: 17,
  utf32: 18,
} as const;

/** A piece of a file: its data type and its bytes. */
export interface Element {
  readonly type: number;
  readonly data: Buffer;
}

/** Elements one after the other in `bytes`. */
export class Elements {
  private at = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly little: boolean,
  ) {}

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  private word(at: number): number {
    if (at + 4 > this.bytes.length) throw new MatlabError('truncated');
    return this.little ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  next(): Element {
    const first = this.word(this.at);
    // Up to four bytes of data are packed into the tag, whose upper half holds their number then.
    const packed = first >>> 16;
    if (packed !== 0) {
      if (packed > 4 || this.at + 8 > this.bytes.length) throw new MatlabError('damaged (a small element)');
      const data = this.bytes.subarray(this.at + 4, this.at + 4 + packed);
      this.at += 8;
      return { type: first & 0xffff, data };
    }
    const length = this.word(this.at + 4);
    const start = this.at + 8;
    if (start + length > this.bytes.length) throw new MatlabError('truncated');
    // Data is padded to multiples of 8 bytes, compressed data is not; the last padding may be left out.
    this.at = start + (first === Type.compressed ? length : Math.ceil(length / 8) * 8);
    return { type: first, data: this.bytes.subarray(start, start + length) };
  }

  /** The next element, which must be of one of these types. */
  expect(what: string, ...types: readonly number[]): Buffer {
    const { type, data } = this.next();
    if (!types.includes(type)) throw new MatlabError(`damaged (${what} of data type ${type})`);
    return data;
  }
}

/** The same bytes, to be read as numbers. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
