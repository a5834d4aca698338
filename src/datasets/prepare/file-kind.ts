import { open } from 'node:fs/promises';
import { constants, gunzipSync } from 'node:zlib';
import { explainFileError } from '../../support/files.js';

/** What a file is by its first bytes. */
export interface FileKind {
  readonly kind: 'zip' | 'tar' | 'json' | 'other';
  /** Whether that is compressed with gzip. */
  readonly gzipped: boolean;
  /** Name of a kind of archive that is not read; null of any other file. */
  readonly unread: string | null;
}

/** Bytes that are looked at: gzip gives a tar header's 512 of far fewer, and of a name in its own header. */
const LOOKED_AT = 2 ** 16;
const BLOCK = 512;

const ZIP = ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08', 'PK00PK'];
const UNREAD: Readonly<Record<string, string>> = {
  BZh: 'bzip2',
  '\xfd7zXZ\0': 'xz',
  '\x28\xb5\x2f\xfd': 'zstd',
  '7z\xbc\xaf\x27\x1c': '7z',
  'Rar!\x1a\x07': 'RAR',
  '\x1f\x9d': 'compress',
};

/** Whether a block is a tar header: its sum, with blanks in place of itself, is the one that it says. */
function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK) return false;
  const said = Number.parseInt(block.toString('latin1', 148, 156).replaceAll('\0', ' ').trim(), 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : block[i]!;
  return said === sum;
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

/** The beginning of what was compressed; empty where it is none. */
function gunzipStart(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 2 ** 27 }).subarray(0, BLOCK);
  } catch {
    return Buffer.alloc(0);
  }
}

/** @throws UserError where the file cannot be read. */
export async function fileKind(file: string): Promise<FileKind> {
  let bytes: Buffer;
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(LOOKED_AT), 0, LOOKED_AT, 0);
      bytes = buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const start = bytes.toString('latin1', 0, 8);
  const [, unread = null] = Object.entries(UNREAD).find(([mark]) => start.startsWith(mark)) ?? [];
  return { kind: kindOfBytes(gzipped ? gunzipStart(bytes) : bytes), gzipped, unread };
}
