import { dangerOf } from './dangerous.js';
import { canNegate, elementTypes, isStoredDtype, type StoredDtype } from './dtypes.js';
import { HostileFileError, MalformedFileError, quote } from './malformed.js';
import { InertObject, PickleGlobal, type PickleHost, refusedGlobal } from './pickle.js';
import { elementCount, isCount, type View } from './tensor.js';

/** A storage that a pickle names. The container says where its bytes are. */
export class StorageReference {
  constructor(
    readonly key: string,
    /** Type of its elements; `bytes` if each tensor on it has its own. */
    readonly dtype: string,
    readonly elements: number,
    readonly bytesPerElement: number,
  ) {}
}

/** A tensor as a pickle describes it. */
export class PickledTensor {
  constructor(
    readonly storage: StorageReference,
    readonly dtype: StoredDtype,
    readonly view: View,
    /** PyTorch's "negative" bit: the values are minus those in the storage. */
    readonly isNegative = false,
  ) {}
}

/** A tensor of a kind that is not read. `what` says what it is, with an article. */
export class UnreadableTensor {
  constructor(readonly what: string) {}
}

type AnyTensor = PickledTensor | UnreadableTensor;

export function isTensor(value: unknown): value is AnyTensor {
  return value instanceof PickledTensor || value instanceof UnreadableTensor;
}

/** The text of an object that only metadata may hold: a device, bytes, a complex number. */
export class PickledText {
  constructor(readonly text: string) {}
}

class StorageType extends PickleGlobal {
  constructor(
    name: string,
    readonly dtype: string,
    readonly bytesPerElement: number,
  ) {
    super(name);
  }
}

/** The element type of storages on which each tensor has its own. */
const UNTYPED = 'bytes';

class Dtype extends PickleGlobal {
  constructor(readonly dtype: string) {
    super(`torch.${dtype}`);
  }
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`, of the storage's type; v1 ends at stride. */
function rebuildTensor([storage, offset, shape, strides, , , metadata]: readonly unknown[]): AnyTensor {
  const dtype = storage instanceof StorageReference ? storage.dtype : '';
  return tensorOn(storage, dtype === UNTYPED ? 'uint8' : dtype, { offset, shape, strides }, metadata);
}

/** `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, backward_hooks, dtype[, metadata])`, on an untyped storage. */
function rebuildTypedTensor([storage, offset, shape, strides, , , dtype, metadata]: readonly unknown[]): AnyTensor {
  if (dtype instanceof InertObject) return new UnreadableTensor(`a tensor of ${quote(dtype.name)}`);
  if (!(dtype instanceof Dtype)) throw new MalformedFileError('a tensor has no valid element type');
  return tensorOn(storage, dtype.dtype, { offset, shape, strides }, metadata);
}

function tensorOn(
  storage: unknown,
  dtype: string,
  { offset, shape, strides }: { readonly offset: unknown; readonly shape: unknown; readonly strides: unknown },
  metadata: unknown,
): AnyTensor {
  if (storage instanceof InertObject) return new UnreadableTensor(`a tensor on ${quote(storage.name)}`);
  if (!(storage instanceof StorageReference))
    throw new MalformedFileError('a tensor is built on something that is not a storage');
  const valid = isCount(offset) && Array.isArray(shape) && Array.isArray(strides) && shape.length === strides.length;
  if (!valid) {
    throw new MalformedFileError(`a tensor on storage ${quote(storage.key)} has no valid offset, shape and strides`);
  }
  elementCount(shape);
  if (!isStoredDtype(dtype)) return new UnreadableTensor(`a tensor of torch.${dtype}`);
  const bits = bitsOf(metadata);
  if (bits === null) return new UnreadableTensor('a tensor with unknown properties');
  if (bits.conj) return new UnreadableTensor('a tensor with the "conjugate" bit');
  if (bits.neg && !canNegate(dtype)) return new UnreadableTensor(`a tensor of torch.${dtype} with the "negative" bit`);
  return new PickledTensor(storage, dtype, { offset, shape: [...shape], strides: [...strides] }, bits.neg);
}

/** The bits that PyTorch keeps beside a tensor's values; null if it keeps anything else. */
function bitsOf(metadata: unknown): { readonly conj: boolean; readonly neg: boolean } | null {
  if (metadata === undefined || metadata === null) return { conj: false, neg: false };
  if (!(metadata instanceof Map)) return null;
  const known = [...metadata].every(([key, set]) => (key === 'conj' || key === 'neg') && typeof set === 'boolean');
  return known ? { conj: metadata.get('conj') === true, neg: metadata.get('neg') === true } : null;
}

/** `_rebuild_parameter(data, requires_grad, backward_hooks)` and `_rebuild_parameter_with_state(…, state)`: the tensor itself. */
function rebuildParameter([data]: readonly unknown[]): AnyTensor {
  if (isTensor(data)) return data;
  if (data instanceof InertObject) return new UnreadableTensor(`a parameter made of ${quote(data.name)}`);
  throw new MalformedFileError('a parameter is made of something that is not a tensor');
}

/** Classes of tensors whose values are those in the file, whatever attributes they have. */
const PLAIN_CLASSES: ReadonlySet<string> = new Set(
  ['Tensor', '_tensor.Tensor', 'nn.Parameter', 'nn.parameter.Parameter', 'nn.Buffer', 'nn.parameter.Buffer'].map(
    (name) => `torch.${name}`,
  ),
);

/** `_rebuild_from_type_v2(function, class, args, state)`: a tensor of another class, or with attributes, which are left out. */
function rebuildFromType([rebuild, type, args]: readonly unknown[]): AnyTensor {
  if (type instanceof InertObject && !PLAIN_CLASSES.has(type.name)) {
    return new UnreadableTensor(`a tensor of the class ${quote(type.name)}`);
  }
  if (rebuild instanceof InertObject) return new UnreadableTensor(`a tensor that ${quote(rebuild.name)} makes`);
  const isRebuild = rebuild instanceof PickleGlobal && rebuild.name.startsWith('torch._utils._rebuild_');
  if (!isRebuild || !rebuild.call || !Array.isArray(args)) {
    throw new MalformedFileError('a tensor with attributes is made of something that is not a tensor');
  }
  return rebuildParameter([rebuild.call(args)]);
}

/** `_rebuild_device_tensor_from_cpu_tensor(data, dtype, device, requires_grad)`: the tensor, if it keeps its type. */
function rebuildDeviceTensor([data, dtype]: readonly unknown[]): AnyTensor {
  const same = data instanceof PickledTensor && dtype instanceof Dtype && dtype.dtype === data.dtype;
  return same ? data : new UnreadableTensor('a tensor that changes its type when it is loaded');
}

function orderedDictionary([pairs = []]: readonly unknown[]): unknown {
  if (pairs instanceof InertObject) return new InertObject('collections', 'OrderedDict');
  const valid = Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2);
  if (!valid) throw new MalformedFileError('an OrderedDict is made of something that is not a list of pairs');
  return new Map(pairs as [unknown, unknown][]);
}

/** `Counter(counts)`, not copied, since a file may ask for many copies. `defaultdict(factory)` gets its items later. */
function counter([counts]: readonly unknown[]): unknown {
  return counts instanceof Map ? counts : new Map();
}

function itemsOf([items = []]: readonly unknown[]): unknown[] {
  if (items instanceof InertObject) return [items];
  if (!Array.isArray(items)) throw new MalformedFileError('a set or a size is made of something that is not a list');
  return items;
}

const asSet = (args: readonly unknown[]) => new Set(itemsOf(args));

/** `device(type[, index])`. */
function deviceText([type, index]: readonly unknown[]): PickledText {
  if (typeof type !== 'string') throw new MalformedFileError('a device without a name');
  return new PickledText(isCount(index) ? `${type}:${index}` : type);
}

/** `encode(text, 'latin1')`, `bytes()`, `bytearray(text, 'latin-1')` or `bytearray(bytes)`: how protocol 2 writes bytes. */
function bytesText([content = '']: readonly unknown[]): PickledText {
  if (content instanceof PickledText) return content;
  const length = typeof content === 'string' || content instanceof Uint8Array ? content.length : null;
  return new PickledText(length === null ? 'bytes' : `${length} bytes`);
}

function complexText([real, imaginary]: readonly unknown[]): PickledText {
  if (typeof real !== 'number' || typeof imaginary !== 'number') return new PickledText('complex number');
  return new PickledText(`${real}${imaginary < 0 || Object.is(imaginary, -0) ? '-' : '+'}${Math.abs(imaginary)}j`);
}

const unreadable = (what: string) => () => new UnreadableTensor(what);

const LONGEST_PATH = 256;

/**
 * `getattr(target, name)`: how protocols below 4, also PyTorch's default, write the name of a nested class, and all protocols a
 * method. Nothing is looked up. The result is a name, and is checked like any other name in the file.
 */
function attribute([target, name]: readonly unknown[]): InertObject {
  if (typeof name !== 'string') {
    throw new HostileFileError('its pickle asks for an attribute whose name is not a text; nothing in it was run');
  }
  const { module, path } = ownerOf(target);
  if (path.length + name.length > LONGEST_PATH) {
    throw new MalformedFileError(`its pickle has a name of more than ${LONGEST_PATH} characters`);
  }
  return inertGlobal(module, `${path}.${name}`);
}

/** The name of the class whose attributes a value has. */
function ownerOf(value: unknown): { readonly module: string; readonly path: string } {
  if (value instanceof InertObject) return value;
  if (value instanceof PickleGlobal) {
    const dot = value.name.lastIndexOf('.');
    return { module: value.name.slice(0, dot), path: value.name.slice(dot + 1) };
  }
  if (isTensor(value)) return { module: 'torch', path: 'Tensor' };
  return { module: 'builtins', path: builtinOf(value) };
}

function builtinOf(value: unknown): string {
  if (value instanceof Map) return 'dict';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Set) return 'set';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'bigint') return 'int';
  return typeof value === 'number' ? 'float' : 'object';
}

/** Storages of types that are not read: bytes per element, and PyTorch's name for the type. */
const UNREADABLE_STORAGES: Readonly<Record<string, readonly [bytes: number, dtype: string]>> = {
  ComplexDoubleStorage: [16, 'complex128'],
  ComplexFloatStorage: [8, 'complex64'],
  QInt8Storage: [1, 'qint8'],
  QUInt8Storage: [1, 'quint8'],
  QInt32Storage: [4, 'qint32'],
  QUInt4x2Storage: [1, 'quint4x2'],
  QUInt2x4Storage: [1, 'quint2x4'],
};

/** All names in a checkpoint's pickle that are read. Sets are in `__builtin__` in protocol 2, with any version of Python. */
const known: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    new PickleGlobal('collections.OrderedDict', orderedDictionary),
    new PickleGlobal('collections.Counter', counter),
    new PickleGlobal('collections.defaultdict', counter),
    new PickleGlobal('torch._utils._rebuild_tensor', rebuildTensor),
    new PickleGlobal('torch._utils._rebuild_tensor_v2', rebuildTensor),
    new PickleGlobal('torch._utils._rebuild_tensor_v3', rebuildTypedTensor),
    new PickleGlobal('torch._utils._rebuild_parameter', rebuildParameter),
    new PickleGlobal('torch._utils._rebuild_parameter_with_state', rebuildParameter),
    new PickleGlobal('torch._tensor._rebuild_from_type_v2', rebuildFromType),
    new PickleGlobal('torch._utils._rebuild_device_tensor_from_cpu_tensor', rebuildDeviceTensor),
    ...[
      ['_rebuild_device_tensor_from_numpy', 'a tensor that is stored as a NumPy array'],
      ['_rebuild_xla_tensor', 'a tensor that is stored as a NumPy array'],
      ['_rebuild_meta_tensor_no_storage', 'a tensor on the device "meta", which has no values'],
      ['_rebuild_sparse_tensor', 'a sparse tensor'],
      ['_rebuild_sparse_csr_tensor', 'a sparse tensor'],
      ['_rebuild_qtensor', 'a quantized tensor'],
      ['_rebuild_nested_tensor', 'a nested tensor'],
      ['_rebuild_wrapper_subclass', 'a tensor that wraps others'],
    ].map(([name, what]) => new PickleGlobal(`torch._utils.${name!}`, unreadable(what!))),
    new PickleGlobal('torch.Size', itemsOf),
    new PickleGlobal('torch.device', deviceText),
    new PickleGlobal('_codecs.encode', bytesText),
    ...['__builtin__', 'builtins'].flatMap((module) => [
      new PickleGlobal(`${module}.set`, asSet),
      new PickleGlobal(`${module}.frozenset`, asSet),
      new PickleGlobal(`${module}.bytes`, bytesText),
      new PickleGlobal(`${module}.bytearray`, bytesText),
      new PickleGlobal(`${module}.complex`, complexText),
      // If it is passed on and not called here, it could ask for anything later.
      new PickleGlobal(`${module}.getattr`, attribute, dangerOf(module, 'getattr')),
    ]),
    ...Object.entries(elementTypes).flatMap(([dtype, { storage, Elements }]) => [
      new Dtype(dtype),
      ...(storage === undefined ? [] : [new StorageType(`torch.${storage}`, dtype, Elements.BYTES_PER_ELEMENT)]),
    ]),
    ...Object.entries(UNREADABLE_STORAGES).map(
      ([name, [bytes, dtype]]) => new StorageType(`torch.${name}`, dtype, bytes),
    ),
    ...['torch', 'torch.storage'].map((module) => new StorageType(`${module}.UntypedStorage`, UNTYPED, 1)),
  ].map((global) => [global.name, global]),
);

/** Gives the names in a checkpoint's pickle their meaning, and collects the storages. */
export class PytorchHost implements PickleHost {
  /** By key. */
  readonly storages = new Map<string, StorageReference>();

  global(module: string, name: string): PickleGlobal | InertObject {
    return known.get(`${module}.${name}`) ?? inertGlobal(module, name);
  }

  /**
   * `('storage', type, key, location, elements[, view])`; the location (a device) is ignored. In the older container also
   * `('module', class, file, source)`: the class, with its source code, of a part of a pickled model.
   */
  persistent(id: unknown): StorageReference | InertObject {
    const [tag, type, key, location, elements, view = null] = Array.isArray(id) ? id : [];
    if (tag === 'module' && type instanceof InertObject) return type;
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
    const earlier = this.storages.get(key);
    if (!earlier) {
      const reference = new StorageReference(key, type.dtype, elements, type.bytesPerElement);
      this.storages.set(key, reference);
      return reference;
    }
    if (earlier.dtype !== type.dtype || earlier.elements !== elements) {
      throw new MalformedFileError(`storage ${quote(key)} is described in two different ways`);
    }
    return earlier;
  }
}

/** A name that is not read. @throws MalformedFileError if it is dangerous. */
export function inertGlobal(module: string, name: string): InertObject {
  const danger = dangerOf(module, name);
  if (danger !== null) throw refusedGlobal(`${module}.${name}`, danger);
  return new InertObject(module, name);
}
