import { isUtf8 } from 'node:buffer';
import { HostileFileError, MalformedFileError, quote } from './malformed.js';

/** What a pickle may name. It is never Python's: only what the reader's owner put on its list. */
export class PickleGlobal {
  constructor(
    readonly name: string,
    /** What REDUCE gives; absent where the global is only ever named (a storage type). */
    readonly call?: (args: readonly unknown[]) => unknown,
    /** Why the file is refused where the global stands anywhere but in front of its arguments, as a clause; null: it is not. */
    readonly dangerUncalled: string | null = null,
  ) {}
}

/**
 * What stands for a class, a function or an object that the reader does not know: its name. It is never looked up, called or
 * built; whatever a pickle gives to it (arguments, attributes, items) is dropped.
 */
export class InertObject {
  /** @param path The name in the module of the class or function, with dots, as the file says it. */
  constructor(
    readonly module: string,
    readonly path: string,
  ) {}

  get name(): string {
    return `${this.module}.${this.path}`;
  }
}

export interface PickleHost {
  /** What the pickle means by `module.name`. @throws MalformedFileError where the name alone is reason to refuse the file. */
  global(module: string, name: string): PickleGlobal | InertObject;
  /** What the pickle means by a persistent id. @throws MalformedFileError for one that means nothing. */
  persistent(id: unknown): unknown;
}

/**
 * Bounds of one pickle. ResNet-101's, optimizer included, has 0.3 MB and about 33,000 operations; mmengine's message hub adds
 * 0.2 MB for every 1,000 iterations. An operation takes at least one byte of the file and makes at most one object, so that
 * the operations bound the memory of objects (50 MB) and the time; numbers alone, as of a history, are smaller and may be more.
 */
export const MOST_BYTES = 256 * 2 ** 20;
const MOST_OPERATIONS = 250_000;
const MOST_NUMBERS = 2_000_000;
const LONGEST_GLOBAL = 256;

const HIGHEST_PROTOCOL = 5;

/**
 * Reads one Python pickle (protocols 2 to 5, the opcodes that data needs) and executes nothing: a global is what `host`
 * says, calls go to the host's functions only, and what is made of any other class is an `InertObject`.
 *
 * Dictionaries become Maps, lists and tuples arrays, sets Sets, integers beyond ±2^53 bigints. The result may hold itself
 * and may be nested without limit: who walks it must bound the walk.
 * @param fileOffset Where `bytes` begin in the file, for messages.
 * @returns the value and the offset of the byte after the pickle.
 * @throws MalformedFileError that says at which byte of the file.
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
  fileOffset = 0,
): { value: unknown; end: number } {
  return new PickleReader(bytes, start, host, fileOffset).run();
}

const STOP = 0x2e;

class PickleReader {
  /** By opcode, with the names of Python's `pickletools`. */
  private static readonly operations = new Map<number, (reader: PickleReader) => void>([
    [0x80, (r) => r.protocol(r.unsigned(1))], // PROTO
    [0x95, (r) => r.take(8)], // FRAME
    [0x28, (r) => r.marks.push(r.stack.length)], // MARK
    [0x30, (r) => r.pop()], // POP
    [0x31, (r) => r.popToMark()], // POP_MARK
    [0x32, (r) => r.push(r.top())], // DUP

    [0x71, (r) => r.remember(r.unsigned(1))], // BINPUT
    [0x72, (r) => r.remember(r.unsigned(4))], // LONG_BINPUT
    [0x94, (r) => r.remember(r.memo.size)], // MEMOIZE
    [0x68, (r) => r.recall(r.unsigned(1))], // BINGET
    [0x6a, (r) => r.recall(r.unsigned(4))], // LONG_BINGET

    [0x4e, (r) => r.number(null)], // NONE
    [0x88, (r) => r.number(true)], // NEWTRUE
    [0x89, (r) => r.number(false)], // NEWFALSE
    [0x4a, (r) => r.number(r.view.getInt32(r.take(4), true))], // BININT
    [0x4b, (r) => r.number(r.unsigned(1))], // BININT1
    [0x4d, (r) => r.number(r.unsigned(2))], // BININT2
    [0x8a, (r) => r.push(r.long(r.unsigned(1)))], // LONG1
    [0x47, (r) => r.number(r.view.getFloat64(r.take(8), false))], // BINFLOAT

    [0x55, (r) => r.push(r.byteText(r.unsigned(1)))], // SHORT_BINSTRING
    [0x54, (r) => r.push(r.byteText(r.unsigned(4)))], // BINSTRING
    [0x8c, (r) => r.push(r.text(r.unsigned(1)))], // SHORT_BINUNICODE
    [0x58, (r) => r.push(r.text(r.unsigned(4)))], // BINUNICODE
    [0x8d, (r) => r.push(r.text(r.unsigned(8)))], // BINUNICODE8
    [0x43, (r) => r.push(r.slice(r.unsigned(1)))], // SHORT_BINBYTES
    [0x42, (r) => r.push(r.slice(r.unsigned(4)))], // BINBYTES
    [0x8e, (r) => r.push(r.slice(r.unsigned(8)))], // BINBYTES8
    [0x96, (r) => r.push(r.slice(r.unsigned(8)))], // BYTEARRAY8

    [0x29, (r) => r.push([])], // EMPTY_TUPLE
    [0x85, (r) => r.push(r.popMany(1))], // TUPLE1
    [0x86, (r) => r.push(r.popMany(2))], // TUPLE2
    [0x87, (r) => r.push(r.popMany(3))], // TUPLE3
    [0x74, (r) => r.push(r.popToMark())], // TUPLE
    [0x5d, (r) => r.push([])], // EMPTY_LIST
    [0x6c, (r) => r.push(r.popToMark())], // LIST
    [0x61, (r) => r.append(r.popMany(1))], // APPEND
    [0x65, (r) => r.append(r.popToMark())], // APPENDS

    [0x7d, (r) => r.push(new Map())], // EMPTY_DICT
    [0x64, (r) => r.dictionary(r.popToMark())], // DICT
    [0x73, (r) => r.setItems(r.popMany(2))], // SETITEM
    [0x75, (r) => r.setItems(r.popToMark())], // SETITEMS
    [0x8f, (r) => r.push(new Set())], // EMPTY_SET
    [0x91, (r) => r.push(new Set(r.popToMark()))], // FROZENSET
    [0x90, (r) => r.addItems(r.popToMark())], // ADDITEMS

    [0x63, (r) => r.global(r.line(), r.line())], // GLOBAL
    [0x93, (r) => r.stackGlobal()], // STACK_GLOBAL
    [0x52, (r) => r.reduce()], // REDUCE
    [0x81, (r) => r.make(r.popMany(2)[0])], // NEWOBJ
    [0x92, (r) => r.make(r.popMany(3)[0])], // NEWOBJ_EX
    [0x6f, (r) => r.make(r.popToMark()[0])], // OBJ
    [0x69, (r) => r.instance(r.line(), r.line())], // INST
    [0x62, (r) => r.build()], // BUILD
    [0x51, (r) => r.persistent(r.pop())], // BINPERSID
  ]);

  private readonly view: DataView;
  private readonly end: number;
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  private readonly stack: unknown[] = [];
  /** Stack heights at the open marks. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, unknown>();
  private operations = 0;
  private numbers = 0;
  /** Where the operation that is done began. */
  private operation = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private position: number,
    private readonly host: PickleHost,
    private readonly fileOffset: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = Math.min(bytes.length, position + MOST_BYTES);
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.charge(1);
      this.operation = this.position;
      const opcode = this.unsigned(1);
      if (opcode === STOP) return { value: this.pop(), end: this.position };
      this.execute(opcode);
    }
  }

  private charge(operations: number): void {
    this.operations += operations;
    if (this.operations > MOST_OPERATIONS) throw this.malformed(`more than ${MOST_OPERATIONS} operations`);
  }

  /** A value that takes little memory: its operation counts as a number instead. */
  private number(value: number | boolean | null): void {
    this.operations--;
    this.numbers++;
    if (this.numbers > MOST_NUMBERS) throw this.malformed(`more than ${MOST_NUMBERS} numbers`);
    this.push(value);
  }

  private execute(opcode: number): void {
    const operation = PickleReader.operations.get(opcode);
    if (!operation) throw this.malformed(`opcode 0x${opcode.toString(16)}, which no checkpoint of tensors needs`);
    operation(this);
  }

  private protocol(version: number): void {
    if (version > HIGHEST_PROTOCOL) throw this.malformed(`protocol ${version}, at most ${HIGHEST_PROTOCOL} is known`);
  }

  private stackGlobal(): void {
    const [module, name] = this.popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') throw this.malformed('a global without a name');
    this.global(module, name);
  }

  private global(module: string, name: string): void {
    this.push(this.located(() => this.host.global(module, name)));
  }

  private persistent(id: unknown): void {
    this.push(this.located(() => this.host.persistent(id)));
  }

  /** What the host refuses, with the place of it. */
  private located<T>(ask: () => T): T {
    try {
      return ask();
    } catch (error) {
      if (!(error instanceof MalformedFileError)) throw error;
      throw error.at(`byte ${this.fileOffset + this.operation} of the file`);
    }
  }

  private reduce(): void {
    const args = this.pop();
    this.need(1);
    const target = this.stack.pop();
    if (target instanceof InertObject) {
      this.make(target);
      return;
    }
    if (!(target instanceof PickleGlobal) || !Array.isArray(args)) throw this.malformed('a call of no function');
    // One long list in the memo may be an argument of every call.
    for (const arg of args) this.charge(Array.isArray(arg) ? arg.length + 1 : 1);
    const { call } = target;
    if (!call) throw this.malformed(`a call of ${target.name}, which may only be named`);
    this.push(this.located(() => call(args)));
  }

  /** An object of a class that is not known, of which nothing is built. */
  private make(target: unknown): void {
    if (!(target instanceof InertObject)) throw this.malformed('an object of no class');
    this.push(new InertObject(target.module, target.path));
  }

  private instance(module: string, name: string): void {
    this.popToMark();
    this.make(this.located(() => this.host.global(module, name)));
  }

  /** Attributes of a dictionary (`_metadata` of a state_dict) and of inert objects are dropped; nothing else has any. */
  private build(): void {
    this.pop();
    const target = this.top();
    if (target instanceof Map || target instanceof InertObject) return;
    throw this.malformed('attributes set on something that is not a dictionary');
  }

  private append(items: readonly unknown[]): void {
    const list = this.top();
    if (list instanceof InertObject) return;
    if (!Array.isArray(list)) throw this.malformed('an append to something that is not a list');
    for (const item of items) list.push(item);
  }

  private dictionary(items: readonly unknown[]): void {
    this.push(new Map());
    this.setItems(items);
  }

  private setItems(items: readonly unknown[]): void {
    const dictionary = this.top();
    if (dictionary instanceof InertObject) return;
    if (!(dictionary instanceof Map) || items.length % 2) throw this.malformed('items that do not fit a dictionary');
    for (let i = 0; i < items.length; i += 2) dictionary.set(items[i], items[i + 1]);
  }

  private addItems(items: readonly unknown[]): void {
    const set = this.top();
    if (set instanceof InertObject) return;
    if (!(set instanceof Set)) throw this.malformed('items added to something that is not a set');
    for (const item of items) set.add(item);
  }

  private push(value: unknown): void {
    this.stack.push(value);
  }

  private top(): unknown {
    this.need(1);
    return this.stack[this.stack.length - 1];
  }

  private pop(): unknown {
    return this.popMany(1)[0];
  }

  private popMany(count: number): unknown[] {
    this.need(count);
    return this.taken(this.stack.splice(this.stack.length - count, count));
  }

  private popToMark(): unknown[] {
    const height = this.marks.pop();
    if (height === undefined) throw this.malformed('an end without a mark');
    return this.taken(this.stack.splice(height));
  }

  /** Values off the stack that are not called. */
  private taken(values: unknown[]): unknown[] {
    for (const value of values) {
      if (!(value instanceof PickleGlobal) || value.dangerUncalled === null) continue;
      const { name, dangerUncalled } = value;
      this.located(() => {
        throw refusedGlobal(name, dangerUncalled);
      });
    }
    return values;
  }

  /** Nothing may be taken from below the innermost mark. */
  private need(count: number): void {
    if (this.stack.length - (this.marks.at(-1) ?? 0) < count) throw this.malformed('an operation without its operands');
  }

  private remember(index: number): void {
    this.memo.set(index, this.top());
  }

  private recall(index: number): void {
    if (!this.memo.has(index)) throw this.malformed(`memo ${index}, which was never set`);
    this.push(this.memo.get(index));
  }

  /** The offset of the next `length` bytes, which are then behind. */
  private take(length: number): number {
    const offset = this.position;
    if (!(offset + length <= this.end)) {
      const limit = this.end < this.bytes.length ? `${MOST_BYTES} bytes` : 'the end of its data';
      throw this.malformed(`an operation that reaches beyond ${limit}`);
    }
    this.position += length;
    return offset;
  }

  private unsigned(length: 1 | 2 | 4 | 8): number {
    const offset = this.take(length);
    if (length === 1) return this.bytes[offset]!;
    if (length === 8) return Number(this.view.getBigUint64(offset, true));
    return length === 2 ? this.view.getUint16(offset, true) : this.view.getUint32(offset, true);
  }

  /** A copy, so that a few bytes do not keep the whole file in memory. */
  private slice(length: number): Uint8Array {
    const offset = this.take(length);
    return Uint8Array.from(this.bytes.subarray(offset, offset + length));
  }

  private text(length: number): string {
    const offset = this.take(length);
    try {
      return this.utf8.decode(this.bytes.subarray(offset, offset + length));
    } catch {
      throw this.malformed('a text that is not UTF-8');
    }
  }

  /** Python 2's texts, which may as well be bytes. */
  private byteText(length: number): string | Uint8Array {
    const bytes = this.slice(length);
    return isUtf8(bytes) ? this.utf8.decode(bytes) : bytes;
  }

  private line(): string {
    const length = this.bytes.subarray(this.position, this.position + LONGEST_GLOBAL).indexOf(0x0a);
    if (length < 0) {
      this.take(LONGEST_GLOBAL);
      throw this.malformed(`a name of more than ${LONGEST_GLOBAL} bytes`);
    }
    const line = this.text(length);
    this.take(1);
    return line;
  }

  /** Two's complement, little-endian, any length. */
  private long(length: number): number | bigint {
    const offset = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[offset + i]!);
    const signed = BigInt.asIntN(length * 8, value);
    return signed >= Number.MIN_SAFE_INTEGER && signed <= Number.MAX_SAFE_INTEGER ? Number(signed) : signed;
  }

  private malformed(what: string): MalformedFileError {
    return new MalformedFileError(`its pickle holds ${what} (byte ${this.fileOffset + this.operation} of the file)`);
  }
}

/**
 * The refusal of a global that no checkpoint needs.
 * @param danger What is wrong with it, as a clause: "runs programs".
 */
export function refusedGlobal(name: string, danger: string): HostileFileError {
  return new HostileFileError(
    `its pickle names ${quote(name)}, which ${danger}: the file may be made to do harm; nothing of it was run`,
  );
}
