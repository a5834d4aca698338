import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import { hashStream } from './archives.js';
import { type ContextRegion, LabelError } from './labels.js';
import {
  type Archive,
  FETCH_AGAIN,
  type Inventory,
  type Member,
  type ReadOptions,
  type Role,
  type Source,
} from './source.js';

interface ContextImage {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly phase: string;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

/** A limit of this program's own, far above the 500 pixels of VOC's images, which nothing here depends on. */
const LARGEST_SIDE = 2 ** 13;
const isSide = (value: unknown): value is number => isCount(value) && value > 0 && value <= LARGEST_SIDE;

function toImage(value: Readonly<Record<string, unknown>>): ContextImage {
  const { file_name: file, height, width, phase } = value;
  const name = typeof file === 'string' ? /^(\d{4}_\d{6})\.jpg$/.exec(file)?.[1] : undefined;
  if (name === undefined || !isSide(height) || !isSide(width) || typeof phase !== 'string') {
    throw new LabelError(`an entry of "images" is none: ${JSON.stringify(value).slice(0, 120)}`);
  }
  return { name, height, width, phase };
}

function toRegion(value: Readonly<Record<string, unknown>>): ContextRegion {
  const { category_id: category, segmentation } = value;
  if (isCount(category) && isRecord(segmentation)) {
    const { size, counts } = segmentation;
    const [height, width, ...rest]: unknown[] = Array.isArray(size) ? size : [];
    const areCounts = typeof counts === 'string' || (Array.isArray(counts) && counts.every(isCount));
    if (isSide(height) && isSide(width) && rest.length === 0 && areCounts) {
      return { category, mask: { size: [height, width], counts } };
    }
  }
  throw new LabelError(`an entry of "annos_segmentation" is none: ${JSON.stringify(value).slice(0, 120)}`);
}

/** Whether an error says that the text or its packing is at fault; zlib's have a code of their own. */
const isDamage = (error: unknown): error is Error =>
  error instanceof JsonArrayError ||
  error instanceof LabelError ||
  (error as NodeJS.ErrnoException).code?.startsWith('Z_') === true;

/** Members of an archive that may be the file: what is in them decides. */
const JSON_MEMBER = /\.json(?:\.gz)?$/i;

/** Tells of a JSON text, piece by piece, whether it is the merged annotations: other JSON files have images, too. */
class Probe {
  /** Whether the first image has a split, or the first thing of interest is a region; undefined until then. */
  is: boolean | undefined;
  private readonly arrays = new JsonArrays((key, value) => {
    if (key === 'annos_segmentation') this.is ??= true;
    if (key === 'images') this.is ??= isRecord(value) && typeof value['phase'] === 'string';
  });

  push(piece: Buffer): void {
    this.arrays.push(piece);
  }
}

/**
 * Gives a text, unpacked, in pieces until `take` says that it wants no more.
 * @param raw Its bytes as they are stored.
 */
async function readPieces(
  raw: AsyncIterable<Buffer>,
  gzipped: boolean,
  take: (piece: Buffer) => boolean,
): Promise<void> {
  let enough = false;
  const consume = async (source: AsyncIterable<unknown>): Promise<void> => {
    for await (const piece of source) {
      enough = !take(piece as Buffer);
      if (enough) return;
    }
  };
  if (!gzipped) return consume(raw);
  try {
    await pipeline(raw, createGunzip(), consume);
  } catch (error) {
    // A pipeline that is left early ends with an error of its own.
    if (!enough) throw error;
  }
}

/**
 * The merged annotations of Pascal Context as one JSON file (`trainval_merged.json`), by itself or in an archive: "images" with
 * their split ("phase"), "annos_segmentation" with a category and a run-length mask each. It is read as if it were a folder of
 * `regions/<image>.json`, `train.txt` and `val.txt`.
 */
export class ContextJsonSource implements Source {
  private readonly images = new Map<string, ContextImage>();
  private readonly regions = new Map<string, ContextRegion[]>();
  /** Path of the file in the archive; null until it was looked for, and of a file by itself. */
  private member: string | null = null;

  /** @param packing Whether the file is compressed with gzip, or the archive at that location that holds it. */
  constructor(
    readonly location: string,
    private readonly packing: { readonly gzipped: boolean } | Archive,
  ) {}

  async has(_role: (path: string) => Role, { signal }: ReadOptions = {}): Promise<boolean> {
    for await (const { path, raw, gzipped } of this.candidates(signal)) {
      const probe = new Probe();
      try {
        await readPieces(raw, gzipped, (piece) => {
          signal?.throwIfAborted();
          probe.push(piece);
          return probe.is === undefined;
        });
      } catch (error) {
        if (!isDamage(error)) throw this.explain(error);
      }
      if (probe.is !== true) continue;
      this.member = path;
      return true;
    }
    return false;
  }

  /** The file itself, or the members of the archive that may be it; those that come after the one that was found are left out. */
  private async *candidates(
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ path: string | null; raw: AsyncIterable<Buffer>; gzipped: boolean }> {
    // A tar archive says, too, whether it is compressed.
    if (!('streams' in this.packing)) {
      const raw: AsyncIterable<Buffer> = createReadStream(this.location, { highWaterMark: 1 << 20 });
      yield { path: null, raw, gzipped: this.packing.gzipped };
      return;
    }
    const wanted = (path: string) => (this.member === null ? JSON_MEMBER.test(path) : path === this.member);
    for await (const { path, pieces } of this.packing.streams(wanted, { signal })) {
      yield { path, raw: pieces, gzipped: /gz$/i.test(path) };
    }
  }

  private explain(error: unknown): unknown {
    return error instanceof UserError ? error : explainFileError(error, this.location, 'read');
  }

  async inspect(role: (path: string) => Role, { signal, onBytes }: ReadOptions = {}): Promise<Inventory> {
    this.images.clear();
    this.regions.clear();
    const isPacked = 'streams' in this.packing;
    if (isPacked && this.member === null && !(await this.has(role, { signal }))) {
      throw new UserError(`${this.location} holds no merged annotations of Pascal Context.`, FETCH_AGAIN);
    }
    let bytes = 0;
    const arrays = new JsonArrays((key, value) => this.add(key, value));
    try {
      for await (const { raw, gzipped } of this.candidates(signal)) {
        await readPieces(raw, gzipped, (piece) => {
          signal?.throwIfAborted();
          arrays.push(piece);
          return true;
        });
        break;
      }
      arrays.end();
    } catch (error) {
      if (!isDamage(error)) throw this.explain(error);
      const where = this.member === null ? this.location : `${this.location}: its member ${this.member}`;
      throw new UserError(`${where} is damaged: ${endSentence(error.message)}`, FETCH_AGAIN, { cause: error });
    }
    // Of the file as it is stored, not of the text.
    const count = (read: number) => {
      bytes += read;
      onBytes?.(read);
    };
    const sha256 = await hashStream(this.location, { signal, onBytes: count });
    const names = (phase: string) =>
      [...this.images.values()]
        .filter((image) => image.phase === phase)
        .map(({ name }) => name)
        .sort();
    const lists = new Map(['train', 'val'].map((phase) => [`${phase}.txt`, names(phase).join('\n')]));
    const files = new Map([...this.images.values()].map(({ name }) => [`regions/${name}.json`, 0]));
    return { files, lists, bytes, sha256 };
  }

  async *read(wanted: ReadonlySet<string>, { signal }: ReadOptions = {}): AsyncIterable<Member> {
    for (const [id, { name, height, width }] of this.images) {
      const path = `regions/${name}.json`;
      if (!wanted.has(path)) continue;
      signal?.throwIfAborted();
      const regions = this.regions.get(id) ?? [];
      yield { path, crc32: null, bytes: Buffer.from(JSON.stringify({ height, width, regions })) };
    }
  }

  private add(key: string, value: unknown): void {
    if ((key !== 'images' && key !== 'annos_segmentation') || !isRecord(value)) return;
    const id = String(value['image_id']);
    if (key === 'images') this.images.set(id, toImage(value));
    else {
      const regions = this.regions.get(id) ?? [];
      regions.push(toRegion(value));
      this.regions.set(id, regions);
    }
  }
}

/** JSON that is not well-formed enough to find its arrays, or ends early. */
export class JsonArrayError extends Error {
  override readonly name = 'JsonArrayError';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

const opens = (byte: number) => byte === 0x7b || byte === 0x5b;
const closes = (byte: number) => byte === 0x7d || byte === 0x5d;

/**
 * Objects in the arrays of an outermost JSON object, one after the other: a file too large for one string is read with the
 * memory of its largest object. Give it the file's bytes in pieces, then say that they have ended.
 */
export class JsonArrays {
  /** Open brackets; the outermost object is 1, its arrays are 2, their objects 3. */
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** The last string at depth 1, and the key that a colon made of it. */
  private text: Buffer[] | null = null;
  private lastString = '';
  private key = '';
  /** Pieces of the object that is being read. */
  private object: Buffer[] | null = null;

  constructor(private readonly onObject: (key: string, value: unknown) => void) {}

  /** @throws JsonArrayError where brackets do not match or an object is no JSON. */
  push(bytes: Buffer): void {
    // Where the object or string that goes on from piece to piece begins in this one.
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

  /** @throws JsonArrayError where the JSON has not ended. */
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
