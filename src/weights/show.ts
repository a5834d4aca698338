import { UserError } from '../support/errors.js';
import { formatBytes, formatCount, withoutControls } from '../support/format.js';
import { wildcardExpression } from '../support/suggest.js';
import { terminalTable } from '../terminal/layout.js';
import type { StoredDtype } from './convert.js';
import { type Checkpoint, readCheckpoint } from './load.js';
import type { JsonObject, JsonValue, NotRead } from './metadata.js';
import type { Conversion } from './save.js';
import { byteLength } from './tensor.js';

interface DescribedTensor {
  readonly name: string;
  /** As in the file: convolution weights are OIHW. */
  readonly shape: readonly number[];
  readonly dtype: StoredDtype;
  readonly elements: number;
  readonly bytes: number;
}

/** What a file of weights holds. */
interface WeightsDescription {
  readonly file: string;
  readonly format: Checkpoint['format'];
  /** Under which key of a PyTorch file the tensors stand; null where they are its own entries. */
  readonly key: string | null;
  readonly metadata: JsonObject;
  /** What stands beside the tensors and is not read, an optimizer apart. */
  readonly notRead: readonly NotRead[];
  /** Whether the state of an optimizer lies beside the weights. */
  readonly optimizer: boolean;
  /** Those that were asked for, in the file's order. */
  readonly tensors: readonly DescribedTensor[];
  /** Of those. */
  readonly totals: { readonly tensors: number; readonly elements: number; readonly bytes: number };
  /** Tensors in the file. */
  readonly tensorsInFile: number;
}

/**
 * @param key Which dictionary of tensors of a `.pth`; the only one where not given.
 * @param keys Only tensors whose names match: `*` stands for any text, `?` for one character, `{a,b}` for one of these.
 * @throws UserError where the file cannot be read or no name matches.
 */
export async function describeWeights(
  file: string,
  { key: asked, keys = '*' }: { readonly key?: string | undefined; readonly keys?: string | undefined } = {},
): Promise<WeightsDescription> {
  const { format, key, metadata, notRead, optimizer, tensors } = await readCheckpoint(file, asked);
  const pattern = wildcardExpression(keys);
  const chosen = [...tensors.values()].filter(({ name }) => pattern.test(name));
  if (chosen.length === 0) {
    throw new UserError(
      `${file}: no tensor's name matches ${keys}.`,
      `Its names are like ${withoutControls([...tensors.keys()][0]!)}; fcn weights show without --keys lists them all.`,
    );
  }
  const described = chosen.map((tensor) => {
    const { name, shape, dtype, elements } = tensor;
    return { name, shape, dtype, elements, bytes: byteLength(tensor) };
  });
  const sum = (pick: (tensor: DescribedTensor) => number) => described.reduce((total, each) => total + pick(each), 0);
  return {
    file,
    format,
    key,
    metadata,
    notRead,
    optimizer,
    tensors: described,
    totals: {
      tensors: described.length,
      elements: sum(({ elements }) => elements),
      bytes: sum(({ bytes }) => bytes),
    },
    tensorsInFile: tensors.size,
  };
}

const FORMAT_NAMES: Readonly<Record<Checkpoint['format'], string>> = {
  'pytorch-zip': 'PyTorch (zip archive)',
  'pytorch-legacy': 'PyTorch (before 1.6)',
  safetensors: 'safetensors',
};

/** Characters of one value of the metadata. */
const LONGEST_VALUE = 160;

export function formatWeights(description: WeightsDescription): string {
  const { file, format, key, metadata, notRead, optimizer, tensors, totals, tensorsInFile } = description;
  const { tensors: count, elements, bytes } = totals;
  const all = count === tensorsInFile ? '' : ` of ${tensorsInFile}`;
  const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
  return [
    terminalTable({
      head: ['Name', 'Shape', 'Type', 'Bytes'],
      body: tensors.map(({ name, shape, dtype, bytes }) => [
        withoutControls(name),
        shape.length === 0 ? 'scalar' : shape.join('×'),
        dtype,
        String(bytes),
      ]),
    }),
    '',
    `file       ${file}`,
    `format     ${FORMAT_NAMES[format]}`,
    ...(key === null || key === 'state_dict' ? [] : [`key        ${withoutControls(key)}`]),
    `tensors    ${count}${all}, ${formatCount(elements)} elements, ${bytes} bytes (${formatBytes(bytes)})`,
    `types      ${dtypes}`,
    `optimizer  ${optimizer ? 'its state is there too; it is not read' : 'none'}`,
    ...metadataLines(metadata),
    ...notReadLines(notRead),
  ].join('\n');
}

function metadataLines(metadata: JsonObject): string[] {
  const lines = Object.entries(metadata).flatMap(([key, value]): (readonly [string, JsonValue])[] =>
    // A published file keeps all of it in one dictionary.
    isObject(value) ? Object.entries(value).map(([inner, item]) => [`${key}.${inner}`, item]) : [[key, value]],
  );
  if (lines.length === 0) return ['metadata   none'];
  return [
    'metadata',
    ...lines.map(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      const shortened = text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
      return `  ${withoutControls(key)}: ${withoutControls(shortened)}`;
    }),
  ];
}

/** Objects of one file that are listed in full. */
const MOST_NOT_READ = 20;

function notReadLines(notRead: readonly NotRead[]): string[] {
  if (notRead.length === 0) return [];
  const more = notRead.length - MOST_NOT_READ;
  return [
    'not read',
    ...notRead.slice(0, MOST_NOT_READ).map(({ path, what }) => `  ${withoutControls(path)}: ${withoutControls(what)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function formatConversion(conversion: Conversion): string {
  const { input, output, tensors, bytes, optimizerLeftOut, notRead } = conversion;
  const left = optimizerLeftOut ? " The optimizer's state was left out." : '';
  const others = notRead.length === 0 ? '' : ` Not read, and left out: ${withoutControls(namesOf(notRead))}.`;
  return `${output}: ${tensors} tensors, ${formatBytes(bytes)}, as in ${input}.${left}${others}`;
}

/** Entries that a conversion names. */
const MOST_NAMED = 3;

function namesOf(notRead: readonly NotRead[]): string {
  const more = notRead.length - MOST_NAMED;
  const names = notRead.slice(0, MOST_NAMED).map(({ path }) => path);
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
