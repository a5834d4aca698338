import { Buffer } from 'node:buffer';
import { bytesPerElement } from './convert.js';
import { foreignArchive, plainPickle } from './foreign.js';
import { HostileFileError, MalformedFileError, quote } from './malformed.js';
import { type PickleHost, readPickle } from './pickle.js';
import { MOST_BYTES } from './pickle-bytes.js';
import { inertGlobal, type PickledTensor, PytorchHost, type StorageReference } from './pytorch-objects.js';
import type { ByteSource } from './source.js';
import { type StoredTensor, tensorOf } from './tensor.js';
import { readZipDirectory } from './zip.js';

/** What a `.pth` file holds: the pickled value, and how to make tensors of the `PickledTensor`s in it. */
export interface PytorchContent {
  readonly format: 'pytorch-zip' | 'pytorch-legacy';
  readonly value: unknown;
  tensor(name: string, pickled: PickledTensor): StoredTensor;
}

/** Where every storage begins, in bytes, by key. */
type StorageOffsets = ReadonlyMap<string, number>;

const ZIP_START = [0x50, 0x4b, 0x03, 0x04];
const PICKLE_START = 0x80;
/** The magic number of the older container, as protocols 0 and 1 write it. */
const MAGIC_AS_TEXT = 'L119547037146038801333356L\n.';

/** The container that a file's first bytes announce. */
export function pytorchFormat(source: ByteSource): PytorchContent['format'] | null {
  const start = source.read(0, Math.min(source.size, ZIP_START.length));
  if (ZIP_START.every((byte, i) => start[i] === byte)) return 'pytorch-zip';
  if (start[0] === PICKLE_START) return 'pytorch-legacy';
  const beginning = source.read(0, Math.min(source.size, MAGIC_AS_TEXT.length));
  return Buffer.from(beginning).toString('latin1') === MAGIC_AS_TEXT ? 'pytorch-legacy' : null;
}

/**
 * Reads what `torch.save` wrote, without executing anything: only constructors of tensors and plain data are known, every
 * range is checked against the file's size, no tensor's values are read.
 * @throws MalformedFileError
 */
export function readPytorch(source: ByteSource, format: PytorchContent['format']): PytorchContent {
  const host = new PytorchHost();
  const read = format === 'pytorch-zip' ? readZip : readLegacy;
  const { value, offsets } = read(source, host);
  return {
    format,
    value,
    tensor: (name, { storage, dtype, view, isNegative }) => {
      // An untyped storage may have bytes to spare.
      const elements = Math.floor((storage.elements * storage.bytesPerElement) / bytesPerElement[dtype]);
      const stored = { source, byteOffset: offsets.get(storage.key)!, dtype, elements };
      return tensorOf(name, stored, view, isNegative);
    },
  };
}

/** Since PyTorch 1.6: a zip archive with `<name>/data.pkl` and a file for every storage, `<name>/data/<key>`. */
function readZip(source: ByteSource, host: PytorchHost): { value: unknown; offsets: StorageOffsets } {
  const entries = readZipDirectory(source, (names) => {
    const foreign = foreignArchive(source.file, names);
    if (foreign !== null) throw foreign;
  });
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new MalformedFileError(`its zip archive has ${pickles.length} entries <name>/data.pkl, 1 was expected`);
  }
  const root = pickles[0]!.slice(0, -'data.pkl'.length);
  const entry = (name: string) => entries.get(root + name);

  const order = entry('byteorder');
  if (order && textOf(source, order) !== 'little') throw new MalformedFileError('its values are not little-endian');

  const pickle = entry('data.pkl')!;
  if (pickle.size > MOST_BYTES)
    throw new MalformedFileError(`its pickle has ${pickle.size} bytes, at most ${MOST_BYTES} are read`);
  const { value } = readPickle(source.read(pickle.offset, pickle.size), 0, host, pickle.offset);
  const offsets = new Map<string, number>();
  for (const storage of host.storages.values()) {
    const data = entry(`data/${storage.key}`);
    if (!data) throw new MalformedFileError(`it has no entry for storage ${quote(storage.key)}`);
    assertStorageSize(storage, data.size);
    offsets.set(storage.key, data.offset);
  }
  return { value, offsets };
}

function textOf(source: ByteSource, entry: { offset: number; size: number }): string {
  return Buffer.from(source.read(entry.offset, Math.min(entry.size, 16))).toString('latin1');
}

function assertStorageSize(storage: StorageReference, bytes: number): void {
  const expected = storage.elements * storage.bytesPerElement;
  if (bytes !== expected) {
    throw new MalformedFileError(
      `storage ${quote(storage.key)} has ${bytes} bytes, ${expected} were expected (${storage.elements} × ${storage.dtype})`,
    );
  }
}

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** No more of the file is looked at for its pickles. */
const LEGACY_HEAD = 16 * 2 ** 20;

/** The pickles around the main one hold plain data only. */
const plainData: PickleHost = {
  global: inertGlobal,
  persistent() {
    throw new MalformedFileError('its pickle refers to a storage where none belongs');
  },
};

/**
 * Before PyTorch 1.6: five pickles (magic number, protocol, machine, the value, the keys of the storages), then for every
 * key an int64 number of elements and the elements.
 */
function readLegacy(source: ByteSource, host: PytorchHost): { value: unknown; offsets: StorageOffsets } {
  const head = source.read(0, Math.min(source.size, LEGACY_HEAD));
  let position = 0;
  const next = (pickleHost: PickleHost): unknown => {
    const { value, end } = readPickle(head, position, pickleHost);
    position = end;
    return value;
  };
  if (!beginsWithMagic(() => next(plainData))) {
    throw new MalformedFileError(
      "it is a pickle, but does not begin with PyTorch's magic number: torch.save did not write it",
      'Where it is a file of your own, write its arrays as tensors, with torch.save or safetensors; pickled NumPy arrays, as in ' +
        ".pkl files of detectron2, are not read. Do not open somebody else's with a reader that runs what it holds.",
    );
  }
  if (next(plainData) !== LEGACY_PROTOCOL) throw new MalformedFileError('it has an unknown protocol version');
  const machine = next(plainData);
  if (!(machine instanceof Map) || machine.get('little_endian') !== true) {
    throw new MalformedFileError('its values are not little-endian');
  }
  const value = next(host);
  const keys = next(plainData);
  if (!Array.isArray(keys)) throw new MalformedFileError('it has no list of storages');
  return { value, offsets: locateStorages(source, position, keys, host) };
}

/** What pickle.dump, as opposed to torch.save, writes for every storage. */
const PLAIN_TENSOR = 'torch.storage._load_from_bytes';

function beginsWithMagic(first: () => unknown): boolean {
  try {
    return first() === LEGACY_MAGIC;
  } catch (error) {
    if (error instanceof HostileFileError && error.global === PLAIN_TENSOR) throw plainPickle();
    // Arrays in a pickle of somebody else need not fit what is read here.
    if (error instanceof HostileFileError || !(error instanceof MalformedFileError)) throw error;
    return false;
  }
}

function locateStorages(
  source: ByteSource,
  start: number,
  keys: readonly unknown[],
  host: PytorchHost,
): StorageOffsets {
  const offsets = new Map<string, number>();
  let position = start;
  for (const key of keys) {
    const storage = typeof key === 'string' ? host.storages.get(key) : undefined;
    if (!storage || offsets.has(storage.key))
      throw new MalformedFileError('its list of storages does not fit its tensors');
    const count = source.read(position, 8);
    const elements = Number(new DataView(count.buffer, count.byteOffset, 8).getBigInt64(0, true));
    const size = elements * storage.bytesPerElement;
    assertStorageSize(storage, size);
    position += 8;
    if (!(position + size <= source.size)) {
      throw new MalformedFileError(`storage ${quote(storage.key)} claims ${size} bytes, beyond the end of the file`);
    }
    offsets.set(storage.key, position);
    position += size;
  }
  if (offsets.size !== host.storages.size) throw new MalformedFileError('its list of storages misses some');
  return offsets;
}
