import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Entry, ZipFile } from 'yauzl';
import { UserError } from '../../support/errors.js';
import { explainFileError, makeFolder, sha256File } from '../../support/files.js';

interface UnpackOptions {
  /** Whether to unpack a member; it keeps its path. */
  readonly select: (member: string) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes are written, or found to exist already. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

interface RecordLine {
  /** Hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Unpacks members of a Python wheel (a zip file) to `folder` and checks each against the wheel's RECORD. A member that exists with the
 * right bytes is kept, so an interrupted unpacking resumes. Other members are written to a temporary file first.
 * @returns paths of the selected members, relative to `folder`.
 * @throws UserError if the file is not a valid wheel, a member leads out of the folder, or its bytes are not those in RECORD.
 */
export async function unpackWheel(wheel: string, folder: string, options: UnpackOptions): Promise<string[]> {
  const zip = await openWheel(wheel);
  try {
    const entries = await readEntries(zip, wheel);
    const record = await readRecord(zip, entries, wheel);
    const selected = entries.filter(({ fileName }) => !fileName.endsWith('/') && options.select(fileName));
    const total = selected.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    let done = 0;
    for (const entry of selected) {
      options.signal?.throwIfAborted();
      const expected = record.get(entry.fileName);
      if (!expected) throw new UserError(`${wheel}: ${entry.fileName} is not in the wheel's RECORD.`);
      const target = insideFolder(folder, entry.fileName, wheel);
      const before = done;
      const count = (bytes: number) => options.onProgress?.(before + bytes, total);
      if (!(await isUnpacked(target, expected))) await unpack(zip, entry, expected, target, wheel, count, options);
      done += entry.uncompressedSize;
      options.onProgress?.(done, total);
    }
    return selected.map((entry) => entry.fileName);
  } finally {
    zip.close();
  }
}

/** Text of the first member of a wheel whose path matches; null if there is none. */
export async function readWheelText(wheel: string, member: RegExp): Promise<string | null> {
  const zip = await openWheel(wheel);
  try {
    const entry = (await readEntries(zip, wheel)).find(({ fileName }) => member.test(fileName));
    return entry ? await readText(zip, entry) : null;
  } finally {
    zip.close();
  }
}

async function openWheel(wheel: string): Promise<ZipFile> {
  const { openPromise } = await import('yauzl');
  try {
    return await openPromise(wheel, { autoClose: false });
  } catch (error) {
    throw explainWheelError(error, wheel);
  }
}

async function readEntries(zip: ZipFile, wheel: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  try {
    for await (const entry of zip.eachEntry()) entries.push(entry);
  } catch (error) {
    throw explainWheelError(error, wheel);
  }
  return entries;
}

/** yauzl's own errors have no code; the system's do. */
function explainWheelError(error: unknown, wheel: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== undefined) return explainFileError(error, wheel, 'read');
  return new UserError(
    `${wheel} is not a valid wheel: ${(error as Error).message}.`,
    'Remove it and download it again.',
    {
      cause: error,
    },
  );
}

async function readRecord(zip: ZipFile, entries: readonly Entry[], wheel: string): Promise<Map<string, RecordLine>> {
  const entry = entries.find(({ fileName }) => /^[^/]+\.dist-info\/RECORD$/.test(fileName));
  if (!entry) throw new UserError(`${wheel} is not a valid wheel: it has no RECORD.`);
  const record = new Map<string, RecordLine>();
  for (const line of (await readText(zip, entry)).split(/\r?\n/)) {
    // A path with a comma is quoted; hash and size never are. A member without a hash (RECORD itself) does not match.
    const match = /^(?:"(.+)"|(.+)),sha256=([\w-]+),(\d+)$/.exec(line);
    if (match) {
      const name = match[1]?.replaceAll('""', '"') ?? match[2]!;
      record.set(name, { sha256: Buffer.from(match[3]!, 'base64url').toString('hex'), bytes: Number(match[4]) });
    }
  }
  return record;
}

/** The RECORD of TensorFlow's wheel, with 15,000 members, has 2 MB. */
const LONGEST_TEXT = 64 * 2 ** 20;

async function readText(zip: ZipFile, entry: Entry): Promise<string> {
  if (entry.uncompressedSize > LONGEST_TEXT) {
    throw new UserError(
      `${entry.fileName} in the wheel claims ${entry.uncompressedSize} bytes.`,
      'Download the wheel again.',
    );
  }
  const chunks: Buffer[] = [];
  for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function isUnpacked(file: string, expected: RecordLine): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found?.isFile() === true && found.size === expected.bytes && (await sha256File(file)) === expected.sha256;
}

async function unpack(
  zip: ZipFile,
  entry: Entry,
  expected: RecordLine,
  target: string,
  wheel: string,
  count: (bytes: number) => void,
  { signal }: UnpackOptions,
): Promise<void> {
  const temporary = `${target}.part`;
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      count(bytes);
      done(null, chunk);
    },
  });
  try {
    await makeFolder(path.dirname(target));
    // yauzl refuses a member that holds more than it claims; RECORD says how much it may claim.
    if (entry.uncompressedSize !== expected.bytes) throw notAsRecorded(entry, wheel);
    const content = await zip.openReadStreamPromise(entry);
    await pipeline(content, meter, createWriteStream(temporary), signal ? { signal } : {});
  } catch (error) {
    await rm(temporary, { force: true });
    signal?.throwIfAborted();
    if (error instanceof UserError) throw error;
    throw isFileError(error) ? explainFileError(error, target, 'write') : explainWheelError(error, wheel);
  }
  if (bytes !== expected.bytes || hash.digest('hex') !== expected.sha256) {
    await rm(temporary, { force: true });
    throw notAsRecorded(entry, wheel);
  }
  // The upper half of the attributes is the Unix mode.
  if ((entry.externalFileAttributes >>> 16) & 0o111) await chmod(temporary, 0o755);
  await synchronise(temporary);
  await rename(temporary, target);
}

/** Path of an unpacked member. yauzl refuses names that leave the folder, too; this does not rely on it. */
function insideFolder(folder: string, member: string, wheel: string): string {
  const target = path.resolve(folder, member);
  if (!target.startsWith(path.resolve(folder) + path.sep)) {
    throw new UserError(
      `${wheel}: its member ${JSON.stringify(member)} leads out of the folder.`,
      'That is not a published wheel: download it again.',
    );
  }
  return target;
}

function notAsRecorded({ fileName }: Entry, wheel: string): UserError {
  return new UserError(
    `${wheel} is damaged: ${fileName} is not what the wheel's RECORD says (SHA-256).`,
    'Remove it and download it again.',
  );
}

/** System errors name a system call; zlib's ("Z_DATA_ERROR") do not. */
function isFileError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined;
}

async function synchronise(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
