import { readFileSync } from 'node:fs';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';

const GIVE = 'Give the log.json or scalars.json of a training: one JSON object a line.';

interface OtherFile {
  readonly is: string;
  readonly next: string;
}

const packed = (program: string): OtherFile => ({
  is: `is compressed (${program})`,
  next: 'Unpack it, then give the log inside.',
});

/** First bytes of archives, in hexadecimal. */
const PACKED: Readonly<Record<string, OtherFile>> = {
  '1f8b': packed('gzip'),
  '504b0304': packed('zip'),
  '425a68': packed('bzip2'),
  fd377a585a: packed('xz'),
  '28b52ffd': packed('zstd'),
};

/** Beginnings, after a byte-order mark, of texts that are not logs of JSON lines. */
const OTHER_TEXTS: readonly (OtherFile & { readonly begins: RegExp })[] = [
  {
    begins: /^version https:\/\/git-lfs/,
    is: 'is a Git LFS pointer, not the log itself',
    next: 'Fetch the file with git lfs pull.',
  },
  { begins: /^\s*<(!doctype|html|\?xml)/i, is: 'is a web page, not a log', next: 'Download the log again.' },
  {
    // A date, or a log level.
    begins: /^\s*(\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d|\[?(INFO|WARNING)\b)/,
    is: 'is the text log of a training, whose values are rounded',
    next: 'Give the log.json beside it, or vis_data/scalars.json of versions 1.x.',
  },
  { begins: /^\s*\[/, is: 'is one JSON array, not one object a line', next: GIVE },
  { begins: /^\s*\{[ \t\r]*\n/, is: 'is JSON over several lines, not one object a line', next: GIVE },
];

/** Encodings by byte-order mark, in hexadecimal. PowerShell writes the first. */
const BYTE_ORDER_MARKS: Readonly<Record<string, string>> = { fffe: 'utf-16le', feff: 'utf-16be' };

/**
 * The text of a log's file, without a byte-order mark: UTF-8, or UTF-16 if the mark says so.
 * @throws UserError if the file cannot be read, or its first bytes show that it is something else.
 */
export function readLogText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  const beginning = bytes.toString('hex', 0, 8);
  const archive = Object.entries(PACKED).find(([first]) => beginning.startsWith(first))?.[1];
  if (archive !== undefined) throw new UserError(`${file} ${archive.is}.`, archive.next);
  const encoding = BYTE_ORDER_MARKS[beginning.slice(0, 4)];
  if (encoding === undefined && bytes.subarray(0, 512).includes(0)) {
    throw new UserError(`${file} is not a text: it holds zero bytes.`, GIVE);
  }
  return new TextDecoder(encoding ?? 'utf-8').decode(bytes);
}

/** @throws UserError if a text is something that is often given for a log of JSON lines: what it is, and what to give instead. */
export function requireJsonLines(text: string, file: string): void {
  const beginning = text.slice(0, 4096).replace(/^\ufeff/, '');
  const other = OTHER_TEXTS.find(({ begins }) => begins.test(beginning));
  if (other !== undefined) throw new UserError(`${file} ${other.is}.`, other.next);
}
