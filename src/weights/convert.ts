import { existsSync } from 'node:fs';
import path from 'node:path';
import { allocateBlock, release } from '../support/block.js';
import { UserError } from '../support/errors.js';
import { formatBytes, withoutControls } from '../support/format.js';
import { type Checkpoint, readCheckpoint } from './load.js';
import { type NotRead, textsOf } from './metadata.js';
import { writePytorch } from './pickle-write.js';
import { METADATA_KEY } from './safetensors.js';
import { writeSafetensors } from './safetensors-write.js';
import { byteLength, elementCount, hwioToOihw, oihwShape, type WritableTensor } from './tensor.js';

interface ConvertOptions {
  readonly input: string;
  /** `.pth` (or `.pt`) or `.safetensors`. */
  readonly output: string;
  /** Which dictionary of tensors of a `.pth`; default: the only one. */
  readonly key?: string | undefined;
  /** For `.pth` only: writes only the state_dict, as for a backbone, without metadata. */
  readonly bare?: boolean;
  /** Replaces an existing file. */
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
  /** Whether the input holds the state of an optimizer, which is left out. */
  readonly optimizerLeftOut: boolean;
  /** What else in the input is not read, and so is left out. */
  readonly notRead: readonly NotRead[];
}

/** The value of `format` in safetensors' metadata: the framework whose names and layout the tensors have. */
const FRAMEWORK = 'pt';

/** At most 2 MiB of the header are read, names and shapes of the tensors included. */
const MOST_METADATA = 2 ** 20;

const FORMATS: Readonly<Record<string, Conversion['outputFormat']>> = {
  '.pth': 'pytorch-zip',
  '.pt': 'pytorch-zip',
  '.safetensors': 'safetensors',
};

/**
 * Writes the weights of a file in the format of the output's extension: with the same names (without the prefixes of wrappers), order,
 * element types, shapes, values and metadata. One tensor at a time is in memory.
 * @throws UserError if the input cannot be read, or the output's extension is unknown, or the output exists.
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
    throw new UserError(`--bare is for .pth files, and the output is ${output}.`, 'Leave out --bare.');
  }
  if (!force && existsSync(output)) {
    throw new UserError(`${output} exists already.`, 'Choose another name, or give --force to replace it.');
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
        `${input} has ${formatBytes(bytes)} of metadata; a safetensors header has room for ${formatBytes(MOST_METADATA)}.`,
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

export function formatConversion(conversion: Conversion): string {
  const { input, output, tensors, bytes, optimizerLeftOut, notRead } = conversion;
  const left = optimizerLeftOut ? " The optimizer's state was left out." : '';
  const others = notRead.length === 0 ? '' : ` Not read, and left out: ${withoutControls(namesOf(notRead))}.`;
  return `${output}: ${tensors} tensors, ${formatBytes(bytes)}, as in ${input}.${left}${others}`;
}

/** The most entries that are named. */
const MOST_NAMED = 3;

function namesOf(notRead: readonly NotRead[]): string {
  const more = notRead.length - MOST_NAMED;
  const names = notRead.slice(0, MOST_NAMED).map(({ path }) => path);
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** A parameter, a running statistic or a buffer of the optimizer, under its published name, the state_dict key. */
export interface NamedWeights extends Pick<WritableTensor, 'name' | 'dtype' | 'shape'> {
  /** `hwio`: a float32 convolution weight as on the engine, whose shape and values are written as OIHW. Absent: written as is. */
  readonly layout?: 'hwio';
  /** Row-major. A function is called when the tensor is written, so that one tensor at a time is copied from the engine. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/**
 * Writes weights as safetensors, atomically, under their published names and in the published layout, which `readCheckpoint` and
 * Python's safetensors read.
 * @throws UserError if the folder cannot be written or the disk is full.
 */
export async function saveWeights(
  file: string,
  tensors: Iterable<NamedWeights>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const weights = [...tensors];
  // Tensors are written one by one, so one array serves all that are converted to OIHW.
  const largest = Math.max(0, ...weights.map(({ layout, shape }) => (layout ? elementCount(shape) : 0)));
  const memory = allocateBlock(largest * Float32Array.BYTES_PER_ELEMENT);
  const scratch = new Float32Array(memory);
  try {
    await writeSafetensors(
      file,
      weights.map((one) => inPublishedLayout(one, scratch)),
      metadata,
    );
  } finally {
    release([memory]);
  }
}

function inPublishedLayout({ name, dtype, shape, layout, data }: NamedWeights, scratch: Float32Array): WritableTensor {
  const fetch = async () => (typeof data === 'function' ? await data() : data);
  if (!layout) return { name, dtype, shape, bytes: async () => bytesOf(await fetch()) };
  if (shape.length !== 4 || dtype !== 'float32') throw new Error(`${name} is not a float32 convolution weight.`);
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
