import { bytesPerElement } from './dtypes.js';
import { foreignArchive, plainPickle } from './foreign.js';
import { adviceForOwnFile, HostileFileError, MalformedFileError, quote } from './malformed.js';
import { type PickleHost, readPickle } from './pickle.js';
import { MOST_BYTES } from './pickle-bytes.js';
import { inertGlobal, type PickledTensor, PytorchHost, type StorageReference } from './pytorch-objects.js';
import { type ByteSource, latin1 } from './source.js';
import { type StoredTensor, tensorOf } from './tensor.js';
import { readZipDirectory } from './zip.js';

/** What a `.pth` file holds: the pickled value, and a function that makes tensors of the `PickledTensor`s in it. */
export interface PytorchContent {
  readonly format: 'pytorch-zip' | 'pytorch-legacy';
  readonly value: unknown;
  tensor(name: string, pickled: PickledTensor): StoredTensor;
}

/** The byte at which each storage begins, by key. */
type StorageOffsets = ReadonlyMap<string, number>;

const ZIP_START = 'PK\x03\x04';
const PICKLE_START = '\x80';
/** The magic number of the older container as protocols 0 and 1 write it. */
const MAGIC_AS_TEXT = 'L119547037146038801333356L\n.';

/** The container that a file's first bytes show; null if none. */
export function pytorchFormat(source: ByteSource): PytorchContent['format'] | null {
  const start = latin1(source.read(0, Math.min(source.size, MAGIC_AS_TEXT.length)));
  if (start.startsWith(ZIP_START)) return 'pytorch-zip';
  return start.startsWith(PICKLE_START) || start === MAGIC_AS_TEXT ? 'pytorch-legacy' : null;
}

/**
 * Reads what `torch.save` wrote and executes nothing in it: only constructors of tensors and plain data are known, every range is
 * checked against the file's size, and no tensor's values are read.
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
    throw new MalformedFileError(`its zip archive has ${pickles.length} entries <name>/data.pkl; 1 was expected`);
  }
  const root = pickles[0]!.slice(0, -'data.pkl'.length);
  const entry = (name: string) => entries.get(root + name);

  const order = entry('byteorder');
  if (order && latin1(source.read(order.offset, Math.min(order.size, 16))) !== 'little') {
    throw new MalformedFileError(NOT_LITTLE_ENDIAN);
  }

  const pickle = entry('data.pkl')!;
  if (pickle.size > MOST_BYTES)
    throw new MalformedFileError(`its pickle has ${pickle.size} bytes; at most ${MOST_BYTES} are read`);
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

const NOT_LITTLE_ENDIAN = 'its values are not little-endian';

function assertStorageSize(storage: StorageReference, bytes: number): void {
  const expected = storage.elements * storage.bytesPerElement;
  if (bytes !== expected) {
    throw new MalformedFileError(
      `storage ${quote(storage.key)} has ${bytes} bytes; ${expected} were expected (${storage.elements} × ${storage.dtype})`,
    );
  }
}

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
/** The part of the file in which its pickles must be. */
const LEGACY_HEAD = 16 * 2 ** 20;

/** The pickles around the main one hold plain data only. */
const plainData: PickleHost = {
  global: inertGlobal,
  persistent() {
    throw new MalformedFileError('its pickle refers to a storage where plain data was expected');
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
      adviceForOwnFile(
        'write its arrays as tensors, with torch.save or safetensors: pickled NumPy arrays, as in .pkl files of detectron2, are not read',
      ),
    );
  }
  if (next(plainData) !== LEGACY_PROTOCOL) throw new MalformedFileError('it has an unknown protocol version');
  const machine = next(plainData);
  if (!(machine instanceof Map) || machine.get('little_endian') !== true) {
    throw new MalformedFileError(NOT_LITTLE_ENDIAN);
  }
  const value = next(host);
  const keys = next(plainData);
  if (!Array.isArray(keys)) throw new MalformedFileError('it has no list of storages');
  return { value, offsets: locateStorages(source, position, keys, host) };
}

/** What pickle.dump, unlike torch.save, writes for every storage. */
const PLAIN_TENSOR = 'torch.storage._load_from_bytes';

function beginsWithMagic(first: () => unknown): boolean {
  try {
    return first() === LEGACY_MAGIC;
  } catch (error) {
    if (error instanceof HostileFileError && error.global === PLAIN_TENSOR) throw plainPickle();
    // Another program's pickle may hold what is not read here.
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
