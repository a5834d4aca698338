import { existsSync } from 'node:fs';
import path from 'node:path';
import { allocateBlock, release } from '../support/block.js';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import type { StoredDtype } from './convert.js';
import { type Checkpoint, readCheckpoint } from './load.js';
import { type NotRead, textsOf } from './metadata.js';
import { writePytorch } from './pickle-write.js';
import { METADATA_KEY, writeSafetensors } from './safetensors.js';
import { byteLength, elementCount, hwioToOihw, oihwShape, type WritableTensor } from './tensor.js';

/** Values of one parameter, running statistic or optimizer buffer. */
export interface NamedWeights {
  /** As published: the state_dict key. */
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /**
   * `hwio`: a float32 convolution weight as the engine has it; it is written as OIHW, shape and values. Absent: written as
   * it is.
   */
  readonly layout?: 'hwio';
  /** Row-major; or what fetches them when their turn comes, so that one tensor at a time is copied off the engine. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/**
 * Writes weights as safetensors, atomically, under their published names and in the published layout, so that
 * `readCheckpoint`, and Python's safetensors with PyTorch, read them back by name.
 * @throws UserError when the folder cannot be written or the disk is full.
 */
export async function saveWeights(
  file: string,
  tensors: Iterable<NamedWeights>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const weights = [...tensors];
  // One tensor is written after the other: one array serves for all that are not written as they are.
  const largest = Math.max(0, ...weights.map(({ layout, shape }) => (layout ? elementCount(shape) : 0)));
  const memory = allocateBlock(largest * Float32Array.BYTES_PER_ELEMENT);
  const scratch = new Float32Array(memory);
  try {
    await writeSafetensors(
      file,
      weights.map((one) => published(one, scratch)),
      metadata,
    );
  } finally {
    release([memory]);
  }
}

function published({ name, dtype, shape, layout, data }: NamedWeights, scratch: Float32Array): WritableTensor {
  const fetch = async () => (typeof data === 'function' ? await data() : data);
  if (!layout) return { name, dtype, shape, bytes: async () => bytesOf(await fetch()) };
  if (shape.length !== 4 || dtype !== 'float32') throw new Error(`${name} is no float32 convolution weight.`);
  const hwio = shape as readonly [number, number, number, number];
  const bytes = async () => {
    const values = await fetch();
    if (!(values instanceof Float32Array)) throw new Error(`${name} is not given as a Float32Array.`);
    return bytesOf(hwioToOihw(values, hwio, scratch.subarray(0, values.length)));
  };
  return { name, dtype, shape: oihwShape(hwio), bytes };
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

interface ConvertOptions {
  readonly input: string;
  /** `.pth` (or `.pt`) or `.safetensors`. */
  readonly output: string;
  /** Which dictionary of tensors of a `.pth`; the only one where not given. */
  readonly key?: string | undefined;
  /** Only to `.pth`: the state_dict alone, as for a backbone, instead of beside metadata. */
  readonly bare?: boolean;
  /** Replaces a file that is there. */
  readonly force?: boolean;
}

export interface Conversion {
  readonly input: string;
  readonly inputFormat: Checkpoint['format'];
  readonly output: string;
  readonly outputFormat: 'pytorch-zip' | 'safetensors';
  readonly tensors: number;
  /** Of all values. */
  readonly bytes: number;
  /** Whether the input held the state of an optimizer, which the output does not. */
  readonly optimizerLeftOut: boolean;
  /** What else the input held that is not read, and so the output does not. */
  readonly notRead: readonly NotRead[];
}

/** What safetensors' metadata says under `format`: the framework whose names and layout the tensors have. */
const FRAMEWORK = 'pt';

/** The header is read up to 2 MiB, names and shapes of the tensors included. */
const MOST_METADATA = 2 ** 20;

const FORMATS: Readonly<Record<string, Conversion['outputFormat']>> = {
  '.pth': 'pytorch-zip',
  '.pt': 'pytorch-zip',
  '.safetensors': 'safetensors',
};

/**
 * Writes the weights of a file in the format that the other file's name asks for: the same names (without the prefixes of wrappers),
 * order, element types, shapes and values, with the metadata. One tensor at a time is in memory.
 * @throws UserError where the input cannot be read, the output's extension is unknown, or it is there already.
 */
export async function convertCheckpoint({ input, output, key, bare, force }: ConvertOptions): Promise<Conversion> {
  const outputFormat = FORMATS[path.extname(output).toLowerCase()];
  if (outputFormat === undefined) {
    throw new UserError(
      `${output} has no extension that names a format.`,
      'Give the output a name that ends in .pth or .safetensors.',
    );
  }
  if (bare && outputFormat === 'safetensors') {
    throw new UserError(
      `--bare is for .pth files, the output is ${output}.`,
      'Leave it out: safetensors has no other form.',
    );
  }
  if (!force && existsSync(output)) {
    throw new UserError(`${output} is there already.`, 'Choose another name, or give --force to replace it.');
  }
  const { format, metadata, notRead, tensors, optimizer } = await readCheckpoint(input, key);
  const values = [...tensors.values()];
  if (outputFormat === 'safetensors') {
    if (tensors.has(METADATA_KEY)) {
      throw new UserError(
        `${input} has a tensor named ${METADATA_KEY}, which safetensors cannot hold.`,
        'Write a .pth.',
      );
    }
    const texts = { format: FRAMEWORK, ...textsOf(metadata) };
    const bytes = Buffer.byteLength(JSON.stringify(texts));
    if (bytes > MOST_METADATA) {
      throw new UserError(
        `${input} has ${formatBytes(bytes)} of metadata, more than the ${formatBytes(MOST_METADATA)} that a safetensors header has room for.`,
        'Write a .pth.',
      );
    }
    await writeSafetensors(output, values, texts);
  } else {
    const { format: _framework, ...beside } = metadata;
    await writePytorch(output, values, bare ? null : beside);
  }
  return {
    input,
    inputFormat: format,
    output,
    outputFormat,
    tensors: values.length,
    bytes: values.reduce((sum, tensor) => sum + byteLength(tensor), 0),
    optimizerLeftOut: optimizer,
    notRead,
  };
}
