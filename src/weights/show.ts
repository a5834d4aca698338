import { UserError } from '../support/errors.js';
import { formatBytes, formatCount, withoutControls } from '../support/format.js';
import { isPlainObject } from '../support/plain-object.js';
import { wildcardExpression } from '../support/suggest.js';
import { entryLines, fitColumns, labelled, wrap } from '../terminal/layout.js';
import { type Checkpoint, readCheckpoint } from './load.js';
import type { JsonObject, JsonValue, NotRead } from './metadata.js';
import { byteLength, type StoredTensor } from './tensor.js';

type DescribedTensor = Pick<StoredTensor, 'name' | 'shape' | 'dtype' | 'elements'> & { readonly bytes: number };

/** What a file of weights holds. */
interface WeightsDescription extends Omit<Checkpoint, 'tensors'> {
  /** The tensors that were asked for, in the file's order. */
  readonly tensors: readonly DescribedTensor[];
  /** Of these tensors. */
  readonly totals: { readonly tensors: number; readonly elements: number; readonly bytes: number };
  readonly tensorsInFile: number;
}

/**
 * @param key Which dictionary of tensors of a `.pth`; default: the only one.
 * @param keys Only tensors whose names match: `*` is any text, `?` one character, `{a,b}` either.
 * @throws UserError if the file cannot be read or no name matches.
 */
export async function describeWeights(
  file: string,
  { key, keys = '*' }: { readonly key?: string | undefined; readonly keys?: string | undefined } = {},
): Promise<WeightsDescription> {
  const { tensors, ...rest } = await readCheckpoint(file, key);
  const pattern = wildcardExpression(keys);
  const chosen = [...tensors.values()].filter(({ name }) => pattern.test(name));
  if (chosen.length === 0) {
    throw new UserError(
      `${file}: no tensor's name matches ${keys}.`,
      `A name in it is ${withoutControls([...tensors.keys()][0]!)}; fcn weights show without --keys lists them all.`,
    );
  }
  const described = chosen.map((tensor) => {
    const { name, shape, dtype, elements } = tensor;
    return { name, shape, dtype, elements, bytes: byteLength(tensor) };
  });
  const sum = (pick: (tensor: DescribedTensor) => number) => described.reduce((total, each) => total + pick(each), 0);
  const totals = {
    tensors: described.length,
    elements: sum(({ elements }) => elements),
    bytes: sum(({ bytes }) => bytes),
  };
  return { ...rest, tensors: described, totals, tensorsInFile: tensors.size };
}

const FORMAT_NAMES: Readonly<Record<Checkpoint['format'], string>> = {
  'pytorch-zip': 'PyTorch (zip archive)',
  'pytorch-legacy': 'PyTorch (before 1.6)',
  safetensors: 'safetensors',
};

/** The most characters of a value of the metadata. */
const LONGEST_VALUE = 160;

/** The tensors in columns; without their bytes if the names are too long for that, or each name on a line of its own. */
function tensorLines(tensors: readonly DescribedTensor[], width: number): string[] {
  const heads = ['Name', 'Shape', 'Type', 'Bytes'];
  const lines = tensors.map(({ name, shape, dtype, bytes }) => [
    withoutControls(name),
    shape.length === 0 ? 'scalar' : shape.join('×'),
    dtype,
    String(bytes),
  ]);
  const { lines: fitted, leftOut } = fitColumns([heads, ...lines], { words: 3, width, spare: ['Bytes'] });
  if (fitted.some((line) => line.length > width)) {
    const entries = lines.map(([name = '', ...cells]) => ({ name, lines: [cells] }));
    return entryLines(heads, entries, { words: 2, width }).lines;
  }
  return leftOut.length === 0
    ? fitted
    : [...fitted, '', ...wrap('Left out to fit: the bytes of each; --json has them.', width)];
}

/** What a file of weights holds, in lines of at most `width` characters. */
export function formatWeights(description: WeightsDescription, width: number): string {
  const { file, format, key, metadata, notRead, optimizer, tensors, totals, tensorsInFile } = description;
  const { tensors: count, elements, bytes } = totals;
  const all = count === tensorsInFile ? '' : ` of ${tensorsInFile}`;
  const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
  return [
    ...tensorLines(tensors, width),
    '',
    ...labelled('file       ', file, width),
    `format     ${FORMAT_NAMES[format]}`,
    ...(key === null || key === 'state_dict' ? [] : labelled('key        ', withoutControls(key), width)),
    ...labelled(
      'tensors    ',
      `${count}${all}, ${formatCount(elements)} elements, ${bytes} bytes (${formatBytes(bytes)})`,
      width,
    ),
    ...labelled('types      ', dtypes, width),
    `optimizer  ${optimizer ? 'its state is in the file, and is not read' : 'none'}`,
    ...[...metadataLines(metadata), ...notReadLines(notRead)].flatMap((line) =>
      line.startsWith('  ') ? labelled('  ', line.trimStart(), width) : [line],
    ),
  ].join('\n');
}

function metadataLines(metadata: JsonObject): string[] {
  const lines = Object.entries(metadata).flatMap(([key, value]): (readonly [string, JsonValue])[] =>
    // A published file has all of it in one dictionary.
    isPlainObject(value) ? Object.entries(value).map(([inner, item]) => [`${key}.${inner}`, item]) : [[key, value]],
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

/** The most objects of a file that are listed. */
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
