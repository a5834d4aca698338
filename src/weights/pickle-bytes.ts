import { Buffer, isUtf8 } from 'node:buffer';
import { MalformedFileError, SAVE_STATE_DICT } from './malformed.js';

/**
 * Bounds of one pickle. ResNet-101's, optimizer included, has 0.3 MB; a history beside the weights may add several. A few bytes of
 * the file may ask for much memory, so memory is bounded, and with it time: about `COST` bytes for every value, at least 8 for
 * every operation. Numbers are bounded by their own limit, because a history has many.
 */
export const MOST_BYTES = 256 * 2 ** 20;
const MOST_MEMORY = 128 * 2 ** 20;
export const MOST_NUMBERS = 2_000_000;

/** Memory of values and of entries in them, in bytes. */
export const COST = {
  operation: 8,
  dictionary: 200,
  list: 56,
  bytes: 160,
  text: 40,
  object: 80,
  entry: 48,
  memo: 48,
} as const;

export const LONGEST_INTEGER = 4096;
const LONGEST_GLOBAL = 256;

/** Of texts without a length before them. */
const LONGEST_LINE = 2 ** 20;

/** The bytes of a pickle, from which operations read one after the other, within bounds of length and memory. */
export class PickleBytes {
  protected readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Where the current operation began. */
  protected operation = 0;
  protected readonly view: DataView;
  private readonly end: number;
  /** About how many bytes of memory all values so far take. */
  protected memory = 0;

  /** @param fileOffset Where `bytes` begin in the file, for messages. */
  constructor(
    protected readonly bytes: Uint8Array,
    protected position: number,
    protected readonly fileOffset: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = Math.min(bytes.length, position + MOST_BYTES);
  }

  protected charge(bytes: number): void {
    this.memory += bytes;
    if (this.memory > MOST_MEMORY) {
      throw this.malformed(`more than fits ${MOST_MEMORY / 2 ** 20} MiB of memory`, SAVE_STATE_DICT);
    }
  }

  /** The offset of the next `length` bytes. Moves the position behind them. */
  protected take(length: number): number {
    const offset = this.position;
    if (!(offset + length <= this.end)) {
      const limit = this.end < this.bytes.length ? `${MOST_BYTES} bytes` : 'the end of its data';
      throw this.malformed(`an operation that reaches beyond ${limit}`);
    }
    this.position += length;
    return offset;
  }

  protected unsigned(length: 1 | 2 | 4 | 8): number {
    const offset = this.take(length);
    if (length === 1) return this.bytes[offset]!;
    if (length === 8) return Number(this.view.getBigUint64(offset, true));
    return length === 2 ? this.view.getUint16(offset, true) : this.view.getUint32(offset, true);
  }

  /** A copy of the next bytes, so that they do not keep the whole file in memory. */
  protected slice(length: number): Uint8Array {
    const offset = this.take(length);
    this.charge(COST.bytes + length);
    return Uint8Array.from(this.bytes.subarray(offset, offset + length));
  }

  protected text(length: number): string {
    const offset = this.take(length);
    this.charge(COST.text + length);
    try {
      return this.utf8.decode(this.bytes.subarray(offset, offset + length));
    } catch {
      throw this.malformed('a text that is not UTF-8');
    }
  }

  /** A text of Python 2, which may be bytes. */
  protected byteText(length: number): string | Uint8Array {
    const bytes = this.slice(length);
    return isUtf8(bytes) ? this.utf8.decode(bytes) : bytes;
  }

  protected line(longest = LONGEST_GLOBAL): string {
    const line = this.text(this.lineLength(longest));
    this.take(1);
    return line;
  }

  private lineLength(longest: number): number {
    const length = this.bytes.subarray(this.position, Math.min(this.end, this.position + longest)).indexOf(0x0a);
    if (length >= 0) return length;
    this.take(longest);
    throw this.malformed(`a ${longest === LONGEST_GLOBAL ? 'name' : 'line'} of more than ${longest} bytes`);
  }

  /** An index of the memo in decimal digits. */
  protected index(): number {
    const line = this.line();
    if (!/^\d{1,10}$/.test(line)) throw this.malformed('a memo without a number');
    return Number(line);
  }

  /** Decimal digits, in LONG with an L after them. */
  protected longLine(): number | bigint {
    const digits = this.line(LONGEST_INTEGER).replace(/L$/, '');
    if (!/^-?\d+$/.test(digits)) throw this.malformed('an integer that is not made of digits');
    return exactly(BigInt(digits));
  }

  /** A number as Python's `repr` writes it. */
  protected floatLine(): number {
    const line = this.line();
    const special = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, '-inf': Number.NEGATIVE_INFINITY }[line];
    if (special !== undefined) return special;
    if (!/^-?\d+(\.\d*)?(e[+-]?\d+)?$/.test(line)) throw this.malformed('a number that is not valid');
    return Number(line);
  }

  /** A text of Python 2 in quotes, with escapes for all that is not ASCII. */
  protected quotedLine(): string | Uint8Array {
    const [, , content] = /^(["'])(.*)\1$/s.exec(this.line(LONGEST_LINE)) ?? [];
    if (content === undefined) throw this.malformed('a text without quotes');
    const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
    const characters = content.replace(/\\(x[\da-fA-F]{2}|.)/gs, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? code),
    );
    const bytes = Uint8Array.from(Buffer.from(characters, 'latin1'));
    return isUtf8(bytes) ? this.utf8.decode(bytes) : bytes;
  }

  /** A text in ISO 8859-1, with escapes for all other characters, line ends and backslashes. */
  protected unicodeLine(): string {
    const start = this.position;
    const length = this.lineLength(LONGEST_LINE);
    this.take(length + 1);
    this.charge(COST.text + 2 * length);
    const raw = Buffer.from(this.bytes.subarray(start, start + length)).toString('latin1');
    return raw.replace(
      /\\u([\da-fA-F]{4})|\\U(00(?:0[\da-fA-F]|10)[\da-fA-F]{4})/g,
      (_, short?: string, long?: string) => String.fromCodePoint(Number.parseInt(short ?? long!, 16)),
    );
  }

  /** An integer in two's complement, little-endian. */
  protected long(length: number): number | bigint {
    if (length > LONGEST_INTEGER)
      throw this.malformed(`an integer of ${length} bytes; at most ${LONGEST_INTEGER} are read`);
    const offset = this.take(length);
    this.charge(COST.text + length);
    const digits = Buffer.from(this.bytes.subarray(offset, offset + length))
      .reverse()
      .toString('hex');
    return exactly(BigInt.asIntN(length * 8, digits === '' ? 0n : BigInt(`0x${digits}`)));
  }

  protected malformed(what: string, next?: string): MalformedFileError {
    return new MalformedFileError(
      `its pickle holds ${what} (byte ${this.fileOffset + this.operation} of the file)`,
      next,
    );
  }
}

/** A number if a double holds the integer exactly, else the bigint. */
function exactly(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}
