import { open } from 'node:fs/promises';
import { constants, gunzipSync } from 'node:zlib';
import { explainFileError } from '../../support/files.js';

/** The kind of a file by its first bytes. */
export interface FileKind {
  readonly kind: 'zip' | 'tar' | 'json' | 'other';
  /** Whether that is compressed with gzip. */
  readonly gzipped: boolean;
  /** What it is, if it cannot be a download. */
  readonly mistake: Mistake | null;
}

/** A file that is often given in place of a download. */
interface Mistake {
  /** "is empty" */
  readonly is: string;
  /** What the user can do. */
  readonly next: string;
}

/** Bytes that are read: compressed with gzip, the first 512 of a tar archive may follow a long file name. */
const BYTES_READ = 2 ** 16;
const BLOCK = 512;

const ZIP = ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08', 'PK00PK'];
/** Formats that are not supported, by their first bytes. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  BZh: 'bzip2',
  '\xfd7zXZ\0': 'xz',
  '\x28\xb5\x2f\xfd': 'zstd',
  '7z\xbc\xaf\x27\x1c': '7z',
  'Rar!\x1a\x07': 'RAR',
  '\x1f\x9d': 'compress',
  '\x5d\0\0': 'lzma',
};

const AGAIN = 'Download it again, then run the same command again.';

/** Texts that a server sends in place of a download. */
const TEXTS: readonly (Mistake & { readonly begins: RegExp })[] = [
  {
    begins: /^\s*<(?:!doctype|html|head|body|\?xml|!--)/i,
    is: 'is a web page, not the download',
    next: 'Open it in a browser to see what the server asks for (often a login or a consent), then download the file again.',
  },
  {
    begins: /^version https:\/\/git-lfs/,
    is: 'is a Git LFS pointer, not the file itself',
    next: 'Fetch the file with git lfs pull.',
  },
];

function mistakeOf(bytes: Buffer): Mistake | null {
  if (bytes.length === 0) return { is: 'is empty', next: AGAIN };
  const start = bytes.toString('latin1', 0, 8);
  const packed = Object.entries(UNSUPPORTED).find(([mark]) => start.startsWith(mark))?.[1];
  if (packed !== undefined) {
    return {
      is: `is compressed with ${packed}, which is not read`,
      next: 'Unpack it, then give --from what was in it.',
    };
  }
  // Only an empty archive begins with zeros.
  if (bytes.every((byte) => byte === 0))
    return { is: 'begins with zeros, like a download that was not finished', next: AGAIN };
  const text = bytes.toString('utf8', 0, BLOCK).replace(/^\uFEFF/, '');
  return TEXTS.find(({ begins }) => begins.test(text)) ?? null;
}

/** Whether a block is a tar header: its checksum, counted as blanks, is the sum of its bytes. */
function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK) return false;
  const checksum = Number.parseInt(block.toString('latin1', 148, 156).replaceAll('\0', ' ').trim(), 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : block[i]!;
  return checksum === sum;
}

function kindOfBytes(bytes: Buffer): FileKind['kind'] {
  const start = bytes.toString('latin1', 0, 8);
  if (ZIP.some((mark) => start.startsWith(mark))) return 'zip';
  if (isTarHeader(bytes.subarray(0, BLOCK))) return 'tar';
  const text = bytes
    .toString('utf8', 0, BLOCK)
    .replace(/^\uFEFF/, '')
    .trimStart();
  return text.startsWith('{') ? 'json' : 'other';
}

/** The first bytes of gzip data, unpacked; empty if it is damaged. */
function gunzipStart(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 2 ** 27 }).subarray(0, BLOCK);
  } catch {
    return Buffer.alloc(0);
  }
}

/** @throws UserError if the file cannot be read. */
export async function fileKind(file: string): Promise<FileKind> {
  let bytes: Buffer;
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(BYTES_READ), 0, BYTES_READ, 0);
      bytes = buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const kind = kindOfBytes(gzipped ? gunzipStart(bytes) : bytes);
  return { kind, gzipped, mistake: kind === 'other' && !gzipped ? mistakeOf(bytes) : null };
}
