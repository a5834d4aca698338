import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { z } from 'zod';
import type { LabelMap, RgbImage } from '../data/image.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { packageRoot } from '../support/package.js';
import { check, formatFinding } from '../support/yaml.js';

/** An array of a .npy file, C order. */
interface NpyArray<T extends Float32Array | Uint8Array = Float32Array | Uint8Array> {
  readonly shape: readonly number[];
  readonly data: T;
}

const MAGIC = '\x93NUMPY';
const VERSION_OFFSET = MAGIC.length;
/** Magic, two bytes of version, and the header's length: two bytes in version 1, four in 2 and 3. */
const PREAMBLE = { 1: 10, 2: 12, 3: 12 } as const;
/** numpy refuses longer headers. */
const LONGEST_HEADER = 10_000;

/**
 * Reads a .npy file (https://numpy.org/neps/nep-0001-npy-format.html) of little-endian float32 (`<f4`) or bytes (`|u1`)
 * in C order. Executes nothing and allocates no more than the file holds.
 * @throws UserError naming `file` if it has another format or type, or not exactly the length of its shape.
 */
export function parseNpy(bytes: Uint8Array, file: string): NpyArray {
  const wrong = (what: string) => new UserError(`${file}: ${what}.`, 'Use another copy of the reference data.');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.toString('latin1', 0, VERSION_OFFSET) !== MAGIC) throw wrong('not a .npy file');
  const version = view[VERSION_OFFSET];
  if (version !== 1 && version !== 2 && version !== 3) throw wrong(`.npy version ${version}, expected 1, 2 or 3`);
  const start = PREAMBLE[version];
  if (view.length < start) throw wrong('ends inside the .npy header');
  const length = version === 1 ? view.readUInt16LE(8) : view.readUInt32LE(8);
  if (length > LONGEST_HEADER || start + length > view.length) throw wrong(`its header claims ${length} bytes`);

  const header = view.toString('latin1', start, start + length);
  const dtype = /'descr': '([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order': (True|False)/.exec(header)?.[1];
  const sides = /'shape': \(([\d, ]*)\)/.exec(header)?.[1];
  if (dtype === undefined || order === undefined || sides === undefined) throw wrong('not a .npy header');
  if (order === 'True') throw wrong('Fortran order, expected C order');
  if (dtype !== '<f4' && dtype !== '|u1') throw wrong(`dtype ${dtype}, expected <f4 or |u1`);
  const shape = sides
    .split(',')
    .filter((side) => side.trim() !== '')
    .map(Number);
  const size = shape.reduce((product, side) => product * side, dtype === '<f4' ? 4 : 1);
  const body = view.subarray(start + length);
  if (body.length !== size) throw wrong(`${body.length} bytes of values, but its shape [${shape}] needs ${size}`);
  // Copied: the elements may not be aligned, and the caller may change them.
  const copy = Uint8Array.from(body);
  return { shape, data: dtype === '<f4' ? new Float32Array(copy.buffer) : copy };
}

/** Path below the set, with "/" between folders → SHA-256 of the uncompressed content. */
type Hashes = ReadonlyMap<string, string>;

/** In the format of `sha256sum`; `scripts/reference.mjs` writes it. */
export const HASHES_FILE = 'SHA256SUMS';
const COMPRESSED = '.gz';
/** Far more than any array of a set: a small compressed file must not fill the memory. */
const LARGEST_FILE = 2 ** 28;

/**
 * A folder of reference data. Its files may be compressed with gzip, with ".gz" after their names. If the set has a list of
 * hashes, every file that is read must be in it.
 */
export class ReferenceFolder {
  private readonly read = new Set<string>();

  private constructor(
    /** The folder's path. */
    readonly path: string,
    private readonly root: string,
    private readonly hashes: Hashes | null,
  ) {}

  /** Opens the top folder of a set. @throws UserError if there is no such folder. */
  static open(root: string): ReferenceFolder {
    if (!existsSync(root)) throw new UserError(`${root} does not exist; a folder of reference data was expected.`);
    const list = path.join(root, HASHES_FILE);
    const hashes = existsSync(list) ? parseHashes(readFileSync(list, 'utf8'), list) : null;
    return new ReferenceFolder(root, root, hashes);
  }

  /** The last part of the folder's path. */
  get name(): string {
    return path.basename(path.resolve(this.path));
  }

  /** A folder in this one, which need not exist. */
  folder(name: string): ReferenceFolder {
    return new ReferenceFolder(path.join(this.path, plain(name, this.path)), this.root, this.hashes);
  }

  /** The names of the folders and files in this one, without ".gz", sorted; empty if it does not exist. */
  list(): { folders: string[]; files: string[] } {
    let entries: import('node:fs').Dirent[];
    try {
      entries = existsSync(this.path) ? readdirSync(this.path, { withFileTypes: true }) : [];
    } catch (error) {
      throw explainFileError(error, this.path, 'read');
    }
    const names = (folders: boolean) =>
      entries.filter((entry) => entry.isDirectory() === folders).map(({ name }) => name.replace(/\.gz$/, ''));
    return { folders: names(true).sort(), files: names(false).sort() };
  }

  has(name: string): boolean {
    const file = path.join(this.path, plain(name, this.path));
    return existsSync(file) || existsSync(file + COMPRESSED);
  }

  /**
   * The path of a file that is not compressed.
   * @throws UserError if it does not exist, or differs from the set's list.
   */
  file(name: string): string {
    this.read.add(name);
    const file = path.join(this.path, plain(name, this.path));
    if (!existsSync(file)) throw new UserError(`${file} does not exist.`);
    if (this.hashes !== null) this.checked(name, readWhole(file));
    return file;
  }

  /** A file's content. @throws UserError if it cannot be read, or differs from the set's list. */
  bytes(name: string): Uint8Array {
    this.read.add(name);
    const file = path.join(this.path, plain(name, this.path));
    if (existsSync(file)) return this.checked(name, readWhole(file));
    const compressed = readWhole(file + COMPRESSED, file);
    try {
      return this.checked(name, gunzipSync(compressed, { maxOutputLength: LARGEST_FILE }));
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(`${file}${COMPRESSED} cannot be unpacked.`, 'Use another copy of the reference data.', {
        cause: error,
      });
    }
  }

  /** A JSON file of a known form. @throws UserError naming the wrong file and key. */
  json<T>(name: string, schema: z.ZodType<T>): T {
    const file = path.join(this.path, name);
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(this.bytes(name)).toString('utf8'));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new UserError(`${file} is not valid JSON: ${error.message}.`, undefined, { cause: error });
    }
    const found = check(schema, value);
    if ('value' in found) return found.value;
    throw new UserError(`${file}: ${formatFinding(found.finding)}`);
  }

  /** A float32 .npy file. @throws UserError if it has another type or is damaged. */
  floats(name: string): NpyArray<Float32Array> {
    const file = path.join(this.path, name);
    const { shape, data } = parseNpy(this.bytes(name), file);
    if (data instanceof Float32Array) return { shape, data };
    throw new UserError(`${file}: bytes, expected float32.`);
  }

  /** A .npy file of bytes. @throws UserError if it has another type or is damaged. */
  octets(name: string): NpyArray<Uint8Array> {
    const file = path.join(this.path, name);
    const { shape, data } = parseNpy(this.bytes(name), file);
    if (data instanceof Uint8Array) return { shape, data };
    throw new UserError(`${file}: float32, expected bytes.`);
  }

  /** Paths of the arrays and weights in this folder that were never read. */
  unread(): string[] {
    const values = this.list().files.filter((name) => /\.(npy|pth|safetensors)$/.test(name));
    return values.filter((name) => !this.read.has(name)).map((name) => path.join(this.path, name));
  }

  private checked(name: string, content: Uint8Array): Uint8Array {
    if (this.hashes === null) return content;
    const file = path.join(this.path, name);
    const listed = this.hashes.get(path.relative(this.root, file).split(path.sep).join('/'));
    if (listed !== createHash('sha256').update(content).digest('hex')) {
      throw new UserError(
        `${file} ${listed === undefined ? 'is not in' : 'differs from its hash in'} ${HASHES_FILE}.`,
        'The reference data was changed or damaged: get it again.',
      );
    }
    return content;
  }
}

function readWhole(file: string, named = file): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw explainFileError(error, named, 'read');
  }
}

/** Checks a name: names come from files of the set, too, and none may lead out of its folder. */
function plain(name: string, folder: string): string {
  if (/^[^/\\]+$/.test(name) && name !== '..' && name !== '.') return name;
  throw new UserError(`${folder}: "${name}" is not the name of a file in this folder.`);
}

function parseHashes(text: string, file: string): Hashes {
  return new Map(
    text.split('\n').flatMap((line, i): [string, string][] => {
      if (line === '') return [];
      const [, hash, name] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
      if (hash === undefined || name === undefined) throw new UserError(`${file}:${i + 1}: not a line of sha256sum.`);
      return [[name, hash]];
    }),
  );
}

/** An RGB image or a table of pixels: [height, width, 3] or [count, 3]. */
export function rgbOf(folder: ReferenceFolder, file: string): RgbImage {
  const { shape, data } = folder.octets(file);
  return shape.length === 3 ? { height: shape[0]!, width: shape[1]!, data } : { height: 1, width: shape[0]!, data };
}

export function labelsOf(folder: ReferenceFolder, file: string): LabelMap {
  const { shape, data } = folder.octets(file);
  return { height: shape[0]!, width: shape[1]!, data };
}

/** The parts of a set besides its networks, each a folder of that name. */
const OTHER_PARTS = ['pipeline', 'metrics', 'checkpoints'] as const;
export type OtherPart = (typeof OTHER_PARTS)[number];

/** The networks and parts that a set has. */
export interface ReferenceSet {
  readonly root: ReferenceFolder;
  /** A folder for each network, sorted by name. */
  readonly networks: readonly ReferenceFolder[];
  readonly parts: readonly OtherPart[];
}

/** Folder of the set that comes with the package. */
export function shippedSet(): string {
  return path.join(packageRoot(), 'reference');
}

/**
 * Opens a set: a folder with `cases`, `pipeline`, `metrics` or `checkpoints` in it, a folder of network cases, or one case.
 * @throws UserError if it is none of these, or a case has no `meta.json`.
 */
export function openSet(directory: string): ReferenceSet {
  const root = ReferenceFolder.open(directory);
  if (root.has('meta.json')) return { root, networks: [root], parts: [] };
  const { folders } = root.list();
  const parts = OTHER_PARTS.filter((part) => folders.includes(part));
  const cases = folders.includes('cases') ? root.folder('cases') : root;
  const found = cases.list().folders.map((name) => cases.folder(name));
  if (cases === root && (parts.length > 0 || !found.some((folder) => folder.has('meta.json')))) {
    if (parts.length > 0) return { root, networks: [], parts };
    throw new UserError(
      `${directory} holds no reference data: expected folders named cases, ${OTHER_PARTS.join(', ')}, or a meta.json.`,
    );
  }
  const without = found.find((folder) => !folder.has('meta.json'));
  if (without !== undefined) throw new UserError(`${without.path} is no reference case: it has no meta.json.`);
  return { root, networks: found, parts };
}

/** The names of all cases that can be chosen in a set. */
export function caseNames({ networks, parts }: ReferenceSet): string[] {
  return [...networks.map(({ name }) => name), ...parts];
}
