import { bytesPerElement, type StoredDtype, storageNames } from './dtype.js';
import { MalformedFileError, quote } from './malformed.js';
import { PickleGlobal, type PickleHost, refusedGlobal } from './pickle.js';
import { elementCount, isCount, type View } from './tensor.js';

/** A storage that a pickle names. The container says where its bytes are. */
export interface StorageReference {
  readonly key: string;
  readonly dtype: StoredDtype;
  readonly elements: number;
}

/** A tensor as a pickle describes it. */
export class PickledTensor {
  constructor(
    readonly storage: StorageReference,
    readonly view: View,
  ) {}
}

/** A PyTorch object that only metadata may hold (a device, a dtype): its text. */
export class PickledText {
  constructor(readonly text: string) {}
}

class StorageType extends PickleGlobal {
  constructor(
    name: string,
    readonly dtype: StoredDtype,
  ) {
    super(name);
  }
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`; v1 ends at stride. */
function rebuildTensor([storage, offset, shape, strides]: readonly unknown[]): PickledTensor {
  if (!isStorageReference(storage))
    throw new MalformedFileError('a tensor is built on something that is not a storage');
  const valid = isCount(offset) && Array.isArray(shape) && Array.isArray(strides) && shape.length === strides.length;
  if (!valid) {
    throw new MalformedFileError(`a tensor on storage ${quote(storage.key)} has no valid offset, shape and strides`);
  }
  elementCount(shape);
  return new PickledTensor(storage, { offset, shape: [...shape], strides: [...strides] });
}

/** `_rebuild_parameter(data, requires_grad, backward_hooks)`: the tensor itself. */
function rebuildParameter([data]: readonly unknown[]): PickledTensor {
  if (!(data instanceof PickledTensor))
    throw new MalformedFileError('a parameter is made of something that is no tensor');
  return data;
}

function orderedDictionary([pairs = []]: readonly unknown[]): Map<unknown, unknown> {
  const valid = Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2);
  if (!valid) throw new MalformedFileError('an OrderedDict is made of something that is not a list of pairs');
  return new Map(pairs as [unknown, unknown][]);
}

function itemsOf([items = []]: readonly unknown[]): unknown[] {
  if (!Array.isArray(items)) throw new MalformedFileError('a set or a size is made of something that is not a list');
  return items;
}

const asSet = (args: readonly unknown[]) => new Set(itemsOf(args));

/** `device(type[, index])`. */
function deviceText([type, index]: readonly unknown[]): PickledText {
  if (typeof type !== 'string') throw new MalformedFileError('a device without a name');
  return new PickledText(isCount(index) ? `${type}:${index}` : type);
}

/** Everything that a checkpoint's pickle may name. Sets are `__builtin__` in protocol 2, whatever the Python version. */
const allowed: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    new PickleGlobal('collections.OrderedDict', orderedDictionary),
    new PickleGlobal('torch._utils._rebuild_tensor', rebuildTensor),
    new PickleGlobal('torch._utils._rebuild_tensor_v2', rebuildTensor),
    new PickleGlobal('torch._utils._rebuild_parameter', rebuildParameter),
    new PickleGlobal('torch.Size', itemsOf),
    new PickleGlobal('torch.device', deviceText),
    new PickleGlobal('__builtin__.set', asSet),
    new PickleGlobal('__builtin__.frozenset', asSet),
    new PickleGlobal('builtins.set', asSet),
    new PickleGlobal('builtins.frozenset', asSet),
    ...Object.keys(bytesPerElement).map((dtype) => new PickleGlobal(`torch.${dtype}`)),
    ...Object.entries(storageNames).map(([dtype, name]) => new StorageType(`torch.${name}`, dtype as StoredDtype)),
  ].map((known) => [known.name, known]),
);

function isStorageReference(value: unknown): value is StorageReference {
  return value instanceof Reference;
}

class Reference implements StorageReference {
  constructor(
    readonly key: string,
    readonly dtype: StoredDtype,
    readonly elements: number,
  ) {}
}

/** What a checkpoint's pickle may name, and the storages that it has named so far. */
export class PytorchHost implements PickleHost {
  /** By key. */
  readonly storages = new Map<string, StorageReference>();

  global(module: string, name: string): PickleGlobal {
    const known = allowed.get(`${module}.${name}`);
    if (!known) throw refusedGlobal(module, name);
    return known;
  }

  /** `('storage', type, key, location, elements[, view])`. The location (a device) is of no interest. */
  persistent(id: unknown): StorageReference {
    const [tag, type, key, location, elements, view = null] = Array.isArray(id) ? id : [];
    if (
      tag !== 'storage' ||
      !(type instanceof StorageType) ||
      typeof key !== 'string' ||
      typeof location !== 'string'
    ) {
      throw new MalformedFileError('its pickle refers to a storage in an unknown way');
    }
    if (view !== null)
      throw new MalformedFileError(`storage ${quote(key)} is part of another one (PyTorch before 0.4)`);
    if (!isCount(elements)) throw new MalformedFileError(`storage ${quote(key)} has no valid number of elements`);
    const known = this.storages.get(key);
    if (!known) {
      const reference = new Reference(key, type.dtype, elements);
      this.storages.set(key, reference);
      return reference;
    }
    if (known.dtype !== type.dtype || known.elements !== elements) {
      throw new MalformedFileError(`storage ${quote(key)} is described in two different ways`);
    }
    return known;
  }
}
