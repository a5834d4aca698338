import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import { ArchiveSource, hashStream } from './archives.js';
import { JsonArrayError, JsonArrays } from './json-arrays.js';
import { type ContextRegion, isRecord, LabelError } from './labels.js';
import {
  type DownloadSource,
  FETCH_AGAIN,
  type Inventory,
  type Member,
  type ReadOptions,
  type RoleOf,
} from './source.js';

interface ContextImage {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly phase: string;
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

/** Limit of this program, far above the 500 pixels of VOC's images; nothing else depends on it. */
const LARGEST_SIDE = 2 ** 13;
const isSide = (value: unknown): value is number => isCount(value) && value > 0 && value <= LARGEST_SIDE;

function toImage(value: Readonly<Record<string, unknown>>): ContextImage {
  const { file_name: file, height, width, phase } = value;
  const name = typeof file === 'string' ? /^(\d{4}_\d{6})\.jpg$/.exec(file)?.[1] : undefined;
  if (name === undefined || !isSide(height) || !isSide(width) || typeof phase !== 'string') {
    throw new LabelError(`an entry of "images" is not as expected: ${JSON.stringify(value).slice(0, 120)}`);
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
  throw new LabelError(`an entry of "annos_segmentation" is not as expected: ${JSON.stringify(value).slice(0, 120)}`);
}

/** Whether the text or its compression is at fault; zlib's errors have a code of their own. */
const isDamage = (error: unknown): error is Error =>
  error instanceof JsonArrayError ||
  error instanceof LabelError ||
  (error as NodeJS.ErrnoException).code?.startsWith('Z_') === true;

/** Members of an archive that may be the file: their content decides. */
const JSON_MEMBER = /\.json(?:\.gz)?$/i;

/**
 * Reads a text, unpacked, in pieces until `take` returns false.
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

/** The file itself, or a member of an archive that may be it. */
interface Candidate {
  /** Path in the archive; null for a file by itself. */
  readonly path: string | null;
  readonly raw: AsyncIterable<Buffer>;
  readonly gzipped: boolean;
}

/**
 * The merged annotations of Pascal Context as one JSON file (`trainval_merged.json`), by itself or in an archive: "images" with
 * their split ("phase"), "annos_segmentation" with a category and a run-length mask each. It is read as if it were a folder of
 * `regions/<image>.json`, `train.txt` and `val.txt`.
 */
export class ContextJsonSource implements DownloadSource {
  private readonly images = new Map<string, ContextImage>();
  private readonly regions = new Map<string, ContextRegion[]>();
  /** Path of the file in the archive, once it was found. */
  private member: string | null = null;

  /** @param packing The archive at that location that holds the file, or whether the file itself is compressed with gzip. */
  constructor(
    readonly location: string,
    private readonly packing: ArchiveSource | { readonly gzipped: boolean },
  ) {}

  async has(_role: RoleOf, signal?: AbortSignal): Promise<boolean> {
    for await (const candidate of this.candidates(signal)) {
      // Other JSON files have images, too: in this one they have a split. Regions alone decide as well.
      let isMerged: boolean | undefined;
      const arrays = new JsonArrays((key, value) => {
        if (key === 'annos_segmentation') isMerged ??= true;
        if (key === 'images') isMerged ??= isRecord(value) && typeof value['phase'] === 'string';
      });
      try {
        await this.parse(candidate, arrays, signal, () => isMerged === undefined);
      } catch (error) {
        if (!isDamage(error)) throw this.explain(error);
      }
      if (isMerged !== true) continue;
      this.member = candidate.path;
      return true;
    }
    return false;
  }

  /** The file, or the members of the archive that may be it; only the right member once it is known. */
  private async *candidates(signal: AbortSignal | undefined): AsyncGenerator<Candidate> {
    if (!(this.packing instanceof ArchiveSource)) {
      const raw: AsyncIterable<Buffer> = createReadStream(this.location, { highWaterMark: 1 << 20 });
      yield { path: null, raw, gzipped: this.packing.gzipped };
      return;
    }
    const wanted = (path: string) => (this.member === null ? JSON_MEMBER.test(path) : path === this.member);
    for await (const { path, pieces } of this.packing.streams(wanted, signal)) {
      yield { path, raw: pieces, gzipped: /gz$/i.test(path) };
    }
  }

  private parse(
    { raw, gzipped }: Candidate,
    arrays: JsonArrays,
    signal: AbortSignal | undefined,
    wantsMore: () => boolean,
  ): Promise<void> {
    return readPieces(raw, gzipped, (piece) => {
      signal?.throwIfAborted();
      arrays.push(piece);
      return wantsMore();
    });
  }

  private explain(error: unknown): unknown {
    return error instanceof UserError ? error : explainFileError(error, this.location, 'read');
  }

  async inspect(role: RoleOf, { signal, onBytes }: ReadOptions = {}): Promise<Inventory> {
    this.images.clear();
    this.regions.clear();
    if (this.packing instanceof ArchiveSource && this.member === null && !(await this.has(role, signal))) {
      throw new UserError(`${this.location} holds no merged annotations of Pascal Context.`, FETCH_AGAIN);
    }
    const arrays = new JsonArrays((key, value) => this.add(key, value));
    try {
      for await (const candidate of this.candidates(signal)) {
        await this.parse(candidate, arrays, signal, () => true);
        break;
      }
      arrays.end();
    } catch (error) {
      if (!isDamage(error)) throw this.explain(error);
      const where = this.member === null ? this.location : `${this.location}: its member ${this.member}`;
      throw new UserError(`${where} is damaged: ${endSentence(error.message)}`, FETCH_AGAIN, { cause: error });
    }
    // Hash and size are of the stored file, not of the text.
    let bytes = 0;
    const count = (read: number) => {
      bytes += read;
      onBytes?.(read);
    };
    const sha256 = await hashStream(this.location, { signal, onBytes: count });
    const images = [...this.images.values()];
    const names = (split: string) => images.flatMap(({ name, phase }) => (phase === split ? [name] : [])).sort();
    const lists = new Map(['train', 'val'].map((split) => [`${split}.txt`, names(split).join('\n')]));
    return { files: new Map(images.map(({ name }) => [`regions/${name}.json`, 0])), lists, bytes, sha256 };
  }

  async *read(wanted: ReadonlySet<string>, signal?: AbortSignal): AsyncIterable<Member> {
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
