import { HostileFileError, MalformedFileError, quote, SAVE_STATE_DICT } from './malformed.js';
import { COST, LONGEST_INTEGER, MOST_NUMBERS, PickleBytes } from './pickle-bytes.js';

/** Something that a pickle names and the reader knows. It is a function of this package, never of Python. */
export class PickleGlobal {
  constructor(
    readonly name: string,
    /** What REDUCE calls; absent if the global may only be named, like a storage type. */
    readonly call?: (args: readonly unknown[]) => unknown,
    /** Why the file is refused if it uses the global for anything but a call, as a clause; null: it is not refused. */
    readonly dangerUncalled: string | null = null,
  ) {}
}

/**
 * Only the name of a class, a function or an object that the reader does not know. It is never looked up, called or built.
 * Arguments, attributes and items that a pickle gives it are dropped.
 */
export class InertObject {
  /** @param path The name of the class or function in the module, with dots. */
  constructor(
    readonly module: string,
    readonly path: string,
  ) {}

  get name(): string {
    return `${this.module}.${this.path}`;
  }
}

export interface PickleHost {
  /** What `module.name` means. @throws MalformedFileError if the file is refused for the name alone. */
  global(module: string, name: string): PickleGlobal | InertObject;
  /** What a persistent id means. @throws MalformedFileError if it means nothing. */
  persistent(id: unknown): unknown;
}

const HIGHEST_PROTOCOL = 5;

/**
 * Reads one Python pickle (all protocols, the opcodes that data needs) and executes nothing in it: `host` says what a global is,
 * only its functions are called, and an object of any other class becomes an `InertObject`.
 *
 * Dictionaries become Maps, lists and tuples arrays, sets Sets, integers beyond ±2^53 bigints. The result may contain itself and may
 * be nested to any depth, so code that walks it needs its own bounds.
 * @param fileOffset Where `bytes` begin in the file, for messages.
 * @returns The value, and the offset of the byte after the pickle.
 * @throws MalformedFileError with the byte of the file.
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

class PickleReader extends PickleBytes {
  /** By opcode, with the names of Python's `pickletools`. */
  private static readonly operations = new Map<number, (reader: PickleReader) => void>([
    [0x80, (r) => r.protocol(r.unsigned(1))], // PROTO
    [0x95, (r) => r.take(8)], // FRAME
    [0x28, (r) => r.marks.push(r.stack.length)], // MARK
    [0x30, (r) => r.pop()], // POP
    [0x31, (r) => r.popToMark()], // POP_MARK
    [0x32, (r) => r.push(r.top())], // DUP

    [0x70, (r) => r.remember(r.index())], // PUT
    [0x67, (r) => r.recall(r.index())], // GET
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
    [0x8b, (r) => r.push(r.long(r.unsigned(4)))], // LONG4
    [0x49, (r) => r.integerLine()], // INT
    [0x4c, (r) => r.push(r.longLine())], // LONG
    [0x46, (r) => r.number(r.floatLine())], // FLOAT
    [0x47, (r) => r.number(r.view.getFloat64(r.take(8), false))], // BINFLOAT

    [0x53, (r) => r.push(r.quotedLine())], // STRING
    [0x56, (r) => r.push(r.unicodeLine())], // UNICODE
    [0x55, (r) => r.push(r.byteText(r.unsigned(1)))], // SHORT_BINSTRING
    [0x54, (r) => r.push(r.byteText(r.unsigned(4)))], // BINSTRING
    [0x8c, (r) => r.push(r.text(r.unsigned(1)))], // SHORT_BINUNICODE
    [0x58, (r) => r.push(r.text(r.unsigned(4)))], // BINUNICODE
    [0x8d, (r) => r.push(r.text(r.unsigned(8)))], // BINUNICODE8
    [0x43, (r) => r.push(r.slice(r.unsigned(1)))], // SHORT_BINBYTES
    [0x42, (r) => r.push(r.slice(r.unsigned(4)))], // BINBYTES
    [0x8e, (r) => r.push(r.slice(r.unsigned(8)))], // BINBYTES8
    [0x96, (r) => r.push(r.slice(r.unsigned(8)))], // BYTEARRAY8

    [0x29, (r) => r.list([])], // EMPTY_TUPLE
    [0x85, (r) => r.list(r.popMany(1))], // TUPLE1
    [0x86, (r) => r.list(r.popMany(2))], // TUPLE2
    [0x87, (r) => r.list(r.popMany(3))], // TUPLE3
    [0x74, (r) => r.list(r.popToMark())], // TUPLE
    [0x5d, (r) => r.list([])], // EMPTY_LIST
    [0x6c, (r) => r.list(r.popToMark())], // LIST
    [0x61, (r) => r.append(r.popMany(1))], // APPEND
    [0x65, (r) => r.append(r.popToMark())], // APPENDS

    [0x7d, (r) => r.emptyDictionary()], // EMPTY_DICT
    [0x64, (r) => r.dictionary(r.popToMark())], // DICT
    [0x73, (r) => r.setItems(r.popMany(2))], // SETITEM
    [0x75, (r) => r.setItems(r.popToMark())], // SETITEMS
    [0x8f, (r) => r.set([])], // EMPTY_SET
    [0x91, (r) => r.set(r.popToMark())], // FROZENSET
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
    [0x50, (r) => r.persistentLine()], // PERSID
  ]);

  private readonly stack: unknown[] = [];
  /** Stack heights at the open marks. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, unknown>();
  private numbers = 0;

  constructor(
    bytes: Uint8Array,
    position: number,
    private readonly host: PickleHost,
    fileOffset: number,
  ) {
    super(bytes, position, fileOffset);
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.charge(COST.operation);
      this.operation = this.position;
      const opcode = this.unsigned(1);
      if (opcode === STOP) return { value: this.pop(), end: this.position };
      const operation = PickleReader.operations.get(opcode);
      if (!operation) throw this.malformed(`opcode 0x${opcode.toString(16)}, which no checkpoint needs`);
      operation(this);
    }
  }

  private number(value: number | boolean | null): void {
    this.memory -= COST.operation;
    this.numbers++;
    if (this.numbers > MOST_NUMBERS) throw this.malformed(`more than ${MOST_NUMBERS} numbers`, SAVE_STATE_DICT);
    this.push(value);
  }

  private protocol(version: number): void {
    if (version > HIGHEST_PROTOCOL)
      throw this.malformed(`protocol ${version}; protocols up to ${HIGHEST_PROTOCOL} are known`);
  }

  private stackGlobal(): void {
    const [module, name] = this.popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') throw this.malformed('a global without a name');
    this.global(module, name);
  }

  private global(module: string, name: string): void {
    this.charge(COST.object);
    this.push(this.located(() => this.host.global(module, name)));
  }

  private persistent(id: unknown): void {
    this.charge(COST.object);
    this.push(this.located(() => this.host.persistent(id)));
  }

  /** Protocol 0 writes the id of a storage as a text, which PyTorch cannot read back either. */
  private persistentLine(): void {
    throw this.malformed(
      'the name of a storage as protocol 0 writes it, which does not identify a storage',
      'Save the file again in Python without pickle_protocol=0: torch.save(MODEL.state_dict(), "weights.pth").',
    );
  }

  /** Adds the place in the file to a refusal of the host. */
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
    if (!(target instanceof PickleGlobal) || !Array.isArray(args))
      throw this.malformed('a call of something that is not a function');
    // A long list in the memo may be an argument of every call.
    for (const arg of args) this.charge(COST.object + (Array.isArray(arg) ? arg.length * COST.entry : 0));
    const { call } = target;
    if (!call) throw this.malformed(`a call of ${target.name}, which may only be named`);
    this.push(this.located(() => call(args)));
  }

  /** An object of an unknown class. It is not built. */
  private make(target: unknown): void {
    if (!(target instanceof InertObject)) throw this.malformed('an object of something that is not a class');
    this.charge(COST.object);
    this.push(new InertObject(target.module, target.path));
  }

  private instance(module: string, name: string): void {
    this.popToMark();
    this.make(this.located(() => this.host.global(module, name)));
  }

  /** Attributes are dropped. Only dictionaries (`_metadata` of a state_dict) and inert objects may have any. */
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
    this.charge(items.length * COST.operation);
    for (const item of items) list.push(item);
  }

  private dictionary(items: readonly unknown[]): void {
    this.emptyDictionary();
    this.setItems(items);
  }

  private setItems(items: readonly unknown[]): void {
    const dictionary = this.top();
    if (dictionary instanceof InertObject) return;
    if (!(dictionary instanceof Map) || items.length % 2) throw this.malformed('items that do not fit a dictionary');
    this.charge((items.length / 2) * COST.entry);
    for (let i = 0; i < items.length; i += 2) dictionary.set(items[i], items[i + 1]);
  }

  private addItems(items: readonly unknown[]): void {
    const set = this.top();
    if (set instanceof InertObject) return;
    if (!(set instanceof Set)) throw this.malformed('items added to something that is not a set');
    this.charge(items.length * COST.entry);
    for (const item of items) set.add(item);
  }

  private emptyDictionary(): void {
    this.charge(COST.dictionary);
    this.push(new Map());
  }

  private list(items: unknown[]): void {
    this.charge(COST.list + items.length * COST.operation);
    this.push(items);
  }

  private set(items: unknown[]): void {
    this.charge(COST.dictionary + items.length * COST.entry);
    this.push(new Set(items));
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

  /** Values from the stack that are not called. @throws HostileFileError if one of them may only be called. */
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

  /** Operands may not be taken from below the innermost mark. */
  private need(count: number): void {
    if (this.stack.length - (this.marks.at(-1) ?? 0) < count) throw this.malformed('an operation without its operands');
  }

  private remember(index: number): void {
    this.charge(COST.memo);
    this.memo.set(index, this.top());
  }

  private recall(index: number): void {
    if (!this.memo.has(index)) throw this.malformed(`memo ${index}, which was never set`);
    this.push(this.memo.get(index));
  }

  /** INT: 00 or 01 for false or true, or a number. */
  private integerLine(): void {
    const start = this.position;
    const line = this.line(LONGEST_INTEGER);
    if (line === '00' || line === '01') {
      this.number(line === '01');
    } else {
      this.position = start;
      this.push(this.longLine());
    }
  }
}

/** The refusal of a dangerous name. @param danger What is wrong with it, as a clause: "runs programs". */
export function refusedGlobal(name: string, danger: string): HostileFileError {
  return new HostileFileError(
    `its pickle names ${quote(name)}, which ${danger}: the file may be malicious; nothing in it was run`,
    name,
  );
}
