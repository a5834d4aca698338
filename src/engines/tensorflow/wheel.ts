import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Entry, ZipFile } from 'yauzl';
import { UserError } from '../../support/errors.js';
import { explainFileError, makeFolder } from '../../support/files.js';

interface UnpackOptions {
  /** Which members to unpack; they keep their paths. */
  readonly select: (member: string) => boolean;
  readonly signal?: AbortSignal;
  /** Told as bytes are written (or found to be there already), with the sum so far and what it will come to. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

interface RecordLine {
  /** base64url, without padding. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Unpacks members of a Python wheel (a zip file) below `folder` and checks each against the wheel's own RECORD. A member
 * that is already there with the right bytes is left alone, so that an unpacking that was broken off goes on where it
 * stopped; each other one is written beside its place and then moved there.
 * @returns paths of the unpacked members, relative to `folder`.
 * @throws UserError when the file is no valid wheel, a member leads out of the folder, or its bytes are not those of its RECORD.
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
      if (!(await isAlreadyThere(target, expected))) await unpack(zip, entry, expected, target, wheel, count, options);
      done += entry.uncompressedSize;
      options.onProgress?.(done, total);
    }
    return selected.map((entry) => entry.fileName);
  } finally {
    zip.close();
  }
}

/** Text of the first member of a wheel whose path matches; null where there is none. */
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

/** yauzl's own errors have no code; the system's have. */
function explainWheelError(error: unknown, wheel: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== undefined) return explainFileError(error, wheel, 'read');
  return new UserError(`${wheel} is no valid wheel: ${(error as Error).message}.`, 'Remove it and fetch it again.', {
    cause: error,
  });
}

async function readRecord(zip: ZipFile, entries: readonly Entry[], wheel: string): Promise<Map<string, RecordLine>> {
  const entry = entries.find(({ fileName }) => /^[^/]+\.dist-info\/RECORD$/.test(fileName));
  if (!entry) throw new UserError(`${wheel} is no valid wheel: it has no RECORD.`);
  const record = new Map<string, RecordLine>();
  for (const line of (await readText(zip, entry)).split(/\r?\n/)) {
    // A path with a comma is quoted; the hash and the size never are. Members without a hash (RECORD itself) do not match.
    const match = /^(?:"(.+)"|(.+)),sha256=([\w-]+),(\d+)$/.exec(line);
    if (match) {
      const name = match[1]?.replaceAll('""', '"') ?? match[2]!;
      record.set(name, { sha256: match[3]!, bytes: Number(match[4]) });
    }
  }
  return record;
}

/** The RECORD of TensorFlow's wheel, 15,000 members, has 2 MB. */
const LONGEST_TEXT = 64 * 2 ** 20;

async function readText(zip: ZipFile, entry: Entry): Promise<string> {
  if (entry.uncompressedSize > LONGEST_TEXT) {
    throw new UserError(
      `${entry.fileName} of the wheel claims ${entry.uncompressedSize} bytes.`,
      'Fetch the wheel again.',
    );
  }
  const chunks: Buffer[] = [];
  for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function isAlreadyThere(file: string, expected: RecordLine): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  if (!found?.isFile() || found.size !== expected.bytes) return false;
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('base64url') === expected.sha256;
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
  if (bytes !== expected.bytes || hash.digest('base64url') !== expected.sha256) {
    await rm(temporary, { force: true });
    throw notAsRecorded(entry, wheel);
  }
  // The high half of the attributes is the Unix mode.
  if ((entry.externalFileAttributes >>> 16) & 0o111) await chmod(temporary, 0o755);
  await synchronise(temporary);
  await rename(temporary, target);
}

/** Where a member goes. yauzl refuses such names too; this does not rest on it. */
function insideFolder(folder: string, member: string, wheel: string): string {
  const target = path.resolve(folder, member);
  if (!target.startsWith(path.resolve(folder) + path.sep)) {
    throw new UserError(
      `${wheel}: its member ${JSON.stringify(member)} leads out of the folder.`,
      'That is no wheel as published: fetch it again.',
    );
  }
  return target;
}

function notAsRecorded({ fileName }: Entry, wheel: string): UserError {
  return new UserError(
    `${wheel} is damaged: ${fileName} is not what the wheel's RECORD says (SHA-256).`,
    'Remove it and fetch it again.',
  );
}

/** System errors with a path or a call; zlib's ("Z_DATA_ERROR") have neither. */
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
