/** Text that is not JSON, as far as its arrays need it, or that ends early. */
export class JsonArrayError extends Error {
  override readonly name = 'JsonArrayError';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

const opens = (byte: number) => byte === 0x7b || byte === 0x5b;
const closes = (byte: number) => byte === 0x7d || byte === 0x5d;

/**
 * Reads the objects in the arrays of an outermost JSON object one by one, so that a file too large for one string takes only
 * the memory of its largest object. `push` the file's bytes in pieces, then call `end`.
 */
export class JsonArrays {
  /** Open brackets; the outermost object is 1, its arrays are 2, their objects 3. */
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** Pieces of the string at depth 1 that is being read; the last such string; the last one before a colon. */
  private text: Buffer[] | null = null;
  private lastString = '';
  private key = '';
  /** Pieces of the object that is being read. */
  private object: Buffer[] | null = null;

  constructor(private readonly onObject: (key: string, value: unknown) => void) {}

  /** @throws JsonArrayError if brackets do not match or an object is not JSON. */
  push(bytes: Buffer): void {
    // Where an open object or string begins in this piece: at 0 if it began in an earlier one.
    let objectFrom = 0;
    let textFrom = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (this.inString) {
        if (this.escaped) this.escaped = false;
        else if (byte === BACKSLASH) this.escaped = true;
        else if (byte === QUOTE) {
          this.inString = false;
          if (this.text) {
            this.text.push(bytes.subarray(textFrom, at));
            this.lastString = Buffer.concat(this.text).toString('utf8');
            this.text = null;
          }
        }
      } else if (byte === QUOTE) {
        this.inString = true;
        if (this.depth === 1) {
          this.text = [];
          textFrom = at + 1;
        }
      } else if (byte === COLON) {
        if (this.depth === 1) this.key = this.lastString;
      } else if (opens(byte)) {
        if (++this.depth === 3) {
          this.object = [];
          objectFrom = at;
        }
      } else if (closes(byte)) {
        if (this.depth-- === 0) throw new JsonArrayError('brackets that do not match');
        if (this.depth === 2 && this.object) {
          this.object.push(bytes.subarray(objectFrom, at + 1));
          this.emit(Buffer.concat(this.object).toString('utf8'));
          this.object = null;
        }
      }
    }
    // Copied: the next piece may be read into the same memory.
    if (this.object) this.object.push(Buffer.from(bytes.subarray(objectFrom)));
    if (this.text) this.text.push(Buffer.from(bytes.subarray(textFrom)));
  }

  /** @throws JsonArrayError if the JSON is incomplete. */
  end(): void {
    if (this.depth !== 0 || this.inString || this.key === '') throw new JsonArrayError('it ends early');
  }

  private emit(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new JsonArrayError(`"${this.key}" holds no JSON: ${(error as Error).message}`, { cause: error });
    }
    this.onObject(this.key, value);
  }
}
