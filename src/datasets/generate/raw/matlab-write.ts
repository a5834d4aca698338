import { deflateSync } from 'node:zlib';

/** A value to write into a MAT-file of level 5. Arrays are column-major. */
type MatlabInput =
  | { readonly numbers: ArrayLike<number>; readonly type: keyof typeof NUMBERS; readonly dimensions: readonly number[] }
  | { readonly text: string }
  | { readonly cells: readonly MatlabInput[]; readonly dimensions: readonly number[] }
  | { readonly struct: Readonly<Record<string, MatlabInput>> };

export interface MatlabOptions {
  readonly compressed?: boolean;
  readonly bigEndian?: boolean;
  /** Pack up to four bytes into the tag of an element, as MATLAB does. */
  readonly small?: boolean;
}

/** Of each type of numbers: array class, data type, bytes, and how one is written. */
const NUMBERS = {
  float64: { arrayClass: 6, dataType: 9, bytes: 8, set: 'setFloat64' },
  float32: { arrayClass: 7, dataType: 7, bytes: 4, set: 'setFloat32' },
  int8: { arrayClass: 8, dataType: 1, bytes: 1, set: 'setInt8' },
  uint8: { arrayClass: 9, dataType: 2, bytes: 1, set: 'setUint8' },
  int16: { arrayClass: 10, dataType: 3, bytes: 2, set: 'setInt16' },
  uint16: { arrayClass: 11, dataType: 4, bytes: 2, set: 'setUint16' },
  int32: { arrayClass: 12, dataType: 5, bytes: 4, set: 'setInt32' },
  uint32: { arrayClass: 13, dataType: 6, bytes: 4, set: 'setUint32' },
} as const;

class Writer {
  constructor(private readonly options: MatlabOptions) {}

  private numbers(values: ArrayLike<number>, type: keyof typeof NUMBERS): Buffer {
    const { bytes, set } = NUMBERS[type];
    const buffer = Buffer.alloc(values.length * bytes);
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    for (let i = 0; i < values.length; i++) view[set](i * bytes, values[i]!, !this.options.bigEndian);
    return buffer;
  }

  words(...values: number[]): Buffer {
    return this.numbers(values, 'uint32');
  }

  private element(type: number, data: Uint8Array): Buffer {
    if (this.options.small && data.length > 0 && data.length <= 4) {
      const padded = Buffer.alloc(4);
      padded.set(data);
      return Buffer.concat([this.words((data.length << 16) | type), padded]);
    }
    return Buffer.concat([this.words(type, data.length), data, Buffer.alloc((8 - (data.length % 8)) % 8)]);
  }

  matrix(name: string, input: MatlabInput): Buffer {
    const head = (arrayClass: number, dimensions: readonly number[]) => [
      this.element(6, this.words(arrayClass, 0)),
      this.element(5, this.words(...dimensions)),
      this.element(1, Buffer.from(name)),
    ];
    return this.element(14, Buffer.concat(this.content(head, input)));
  }

  private content(head: (arrayClass: number, dimensions: readonly number[]) => Buffer[], input: MatlabInput): Buffer[] {
    if ('numbers' in input) {
      const { arrayClass, dataType } = NUMBERS[input.type];
      return [...head(arrayClass, input.dimensions), this.element(dataType, this.numbers(input.numbers, input.type))];
    }
    if ('text' in input) {
      const codes = Array.from(input.text, (letter) => letter.charCodeAt(0));
      return [...head(4, [1, codes.length]), this.element(4, this.numbers(codes, 'uint16'))];
    }
    if ('cells' in input) return [...head(1, input.dimensions), ...input.cells.map((cell) => this.matrix('', cell))];
    const names = Object.keys(input.struct);
    const field = 32;
    const text = Buffer.alloc(names.length * field);
    for (const [i, name] of names.entries()) text.write(name, i * field, 'latin1');
    return [
      ...head(2, [1, 1]),
      this.element(5, this.words(field)),
      this.element(1, text),
      ...Object.values(input.struct).map((value) => this.matrix('', value)),
    ];
  }
}

/** A MAT-file of level 5, as "MAT-File Format" (The MathWorks, R2024) describes it. */
export function writeMatlab(variables: Readonly<Record<string, MatlabInput>>, options: MatlabOptions = {}): Buffer {
  const writer = new Writer(options);
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, written by fcn', 'latin1');
  header.fill(0, 116, 124);
  // The version as a number, and the mark of the byte order.
  if (options.bigEndian) header.write('\x01\x00MI', 124, 'latin1');
  else header.write('\x00\x01IM', 124, 'latin1');
  const elements = Object.entries(variables).map(([name, input]) => {
    const matrix = writer.matrix(name, input);
    if (!options.compressed) return matrix;
    const packed = deflateSync(matrix);
    return Buffer.concat([writer.words(15, packed.length), packed]);
  });
  return Buffer.concat([header, ...elements]);
}

/** A row-major label map, [height, width], as a matrix. */
export function labelMatrix(
  { height, width, data }: { readonly height: number; readonly width: number; readonly data: ArrayLike<number> },
  type: 'uint8' | 'uint16' | 'float64',
): MatlabInput {
  const numbers = Array.from(
    { length: height * width },
    (_, i) => data[(i % height) * width + Math.floor(i / height)]!,
  );
  return { numbers, type, dimensions: [height, width] };
}
