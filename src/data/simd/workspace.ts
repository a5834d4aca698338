/** What the module of `assembly/` exports. Pointers are byte offsets in its memory; its sources say what each function does. */
interface PixelCode {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  firstFree(): number;
  prepareInflate(): void;
  startInflate(from: number, length: number): number;
  inflate(out: number, limit: number, history: number): number;
  hasEnded(adler: number): number;
  adler32(adler: number, from: number, length: number): number;
  unfilter(row: number, above: number, target: number, length: number, step: number): number;
  markValues(from: number, length: number, seen: number): void;
  sumColumns(row: number, offsets: number, weights: number, target: number, pixels: number): void;
  blendRows(upper: number, lower: number, a: number, b: number, target: number, length: number): void;
  halveRows(upper: number, lower: number, offsets: number, target: number, pixels: number): void;
  countLabels(row: number, columns: number, pixels: number, times: number, counts: number): void;
  takeLabels(row: number, columns: number, pixels: number, ids: number, target: number): void;
  applyTable(bytes: number, length: number, table: number): void;
  changeHsv(bytes: number, pixels: number, truncated: number, shift: number, factor: number): void;
  normalise(bytes: number, pixels: number, tables: number, target: number): void;
}

/** The part of the standard WebAssembly interface that is used here; Node's types lack it. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

const PAGE = 65536;

/** Behind every region: vector code reads and writes up to so many bytes more. */
const SPARE = 64;

/**
 * The compiled pixel code of this thread with its memory, from which regions are taken one after the other. All work with it is
 * synchronous: it begins with `clear`, which frees every region.
 */
export class Workspace {
  private free = 0;
  private view: Uint8Array;

  private constructor(readonly code: PixelCode) {
    this.view = new Uint8Array(code.memory.buffer);
    code.prepareInflate();
  }

  static create(module: object): Workspace {
    return new Workspace(new WebAssembly.Instance(module).exports as PixelCode);
  }

  /** Bytes of the memory. */
  get size(): number {
    return this.code.memory.buffer.byteLength;
  }

  clear(): void {
    this.free = this.code.firstFree();
  }

  /** A region of its own, not cleared: its offset, a multiple of 16. */
  reserve(bytes: number): number {
    const start = Math.ceil(this.free / 16) * 16;
    this.free = start + bytes + SPARE;
    if (this.free > this.size) this.code.memory.grow(Math.ceil((this.free - this.size) / PAGE));
    return start;
  }

  /** A region that holds a copy of `values`. */
  place(values: Uint8Array | Int32Array | Uint32Array | Float32Array): number {
    const start = this.reserve(values.byteLength);
    this.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), start);
    return start;
  }

  /** The whole memory. Not to be kept: it is replaced when the memory grows. */
  get bytes(): Uint8Array {
    if (this.view.buffer !== this.code.memory.buffer) this.view = new Uint8Array(this.code.memory.buffer);
    return this.view;
  }

  floats(start: number, count: number): Float32Array {
    return new Float32Array(this.code.memory.buffer, start, count);
  }

  integers(start: number, count: number): Int32Array {
    return new Int32Array(this.code.memory.buffer, start, count);
  }
}

/** The module of the pixel code; null on a processor without the vector instructions of WebAssembly. */
export function compilePixelCode(bytes: Uint8Array): object | null {
  return WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : null;
}
