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

/** First bytes, in hexadecimal, of files that hold a log but are none. */
const PACKED: Readonly<Record<string, OtherFile>> = {
  '1f8b': packed('gzip'),
  '504b0304': packed('zip'),
  '425a68': packed('bzip2'),
  fd377a585a: packed('xz'),
  '28b52ffd': packed('zstd'),
};

/** Beginnings of texts that are no log, after a byte-order mark. */
const OTHER_TEXTS: readonly (OtherFile & { readonly begins: RegExp })[] = [
  {
    begins: /^version https:\/\/git-lfs/,
    is: 'is a Git LFS pointer, not the log itself',
    next: 'Fetch the file with git lfs pull.',
  },
  { begins: /^\s*<(!doctype|html|\?xml)/i, is: 'is a web page, not a log', next: 'Download the log again.' },
  {
    // A date, or a level of logging.
    begins: /^\s*(\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d|\[?(INFO|WARNING)\b)/,
    is: 'is the text log of a training, whose values are rounded and stand between words',
    next: 'Give the log.json beside it, or vis_data/scalars.json of the 1.x generation.',
  },
  { begins: /^\s*\[/, is: 'is one JSON array, not an object a line', next: GIVE },
  { begins: /^\s*\{[ \t\r]*\n/, is: 'is JSON over several lines, not an object a line', next: GIVE },
];

/** How a byte-order mark, in hexadecimal, says that a text is encoded: PowerShell writes the first. */
const MARKS: Readonly<Record<string, string>> = { fffe: 'utf-16le', feff: 'utf-16be' };

/**
 * The text of a log's file: UTF-8, or UTF-16 where a byte-order mark says so, as PowerShell writes it. The mark is left out.
 * @throws UserError where the file cannot be read, or its first bytes say that it is something else.
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
  const encoding = MARKS[beginning.slice(0, 4)];
  if (encoding === undefined && bytes.subarray(0, 512).includes(0)) {
    throw new UserError(`${file} is no text: it holds zero bytes.`, GIVE);
  }
  return new TextDecoder(encoding ?? 'utf-8').decode(bytes);
}

/**
 * Refuses a text that is no log of JSON lines but something that is often taken for one.
 * @throws UserError that says what it is and what to give instead.
 */
export function requireJsonLines(text: string, file: string): void {
  const beginning = text.slice(0, 4096).replace(/^\ufeff/, '');
  const other = OTHER_TEXTS.find(({ begins }) => begins.test(beginning));
  if (other !== undefined) throw new UserError(`${file} ${other.is}.`, other.next);
}
