import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import { type Checkpoint, readCheckpoint } from './load.js';
import { type NotRead, textsOf } from './metadata.js';
import { writePytorch } from './pickle-write.js';
import { METADATA_KEY, writeSafetensors } from './safetensors.js';
import { byteLength } from './tensor.js';

export interface ConvertOptions {
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
