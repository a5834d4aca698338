import {
  CENTRAL_SIGNATURE,
  CENTRAL_SIZE,
  END_SIGNATURE,
  END_SIZE,
  LOCAL_SIGNATURE,
  LOCAL_SIZE,
  METHOD_STORED,
} from '../support/zip-write.js';
import { MalformedFileError, quote } from './malformed.js';
import type { ByteSource } from './source.js';

/** The bytes of a stored (uncompressed) entry in the archive. */
interface ZipEntry {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const LONGEST_COMMENT = 0xffff;
const LOCATOR64_SIGNATURE = 0x07064b50;
const LOCATOR64_SIZE = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_SIZE = 56;
const EXTRA_ZIP64 = 0x0001;
const FLAG_ENCRYPTED = 0x0001;
/** Means "see the ZIP64 record". */
const ABSENT_32 = 0xffffffff;
/** The directory of the largest published checkpoint has 0.1 MB. */
const LARGEST_DIRECTORY = 16 * 2 ** 20;

/**
 * Reads the directory of a zip archive whose entries are stored, as `torch.save` writes them (APPNOTE 6.3.10, sections 4.3 to 4.5,
 * with ZIP64). No entry's content is read. Sizes are taken from the directory, since local headers may leave them out. Checksums
 * are not compared, since PyTorch may be configured not to compute them.
 * @param inspect Gets the names of all entries before any entry is checked, and throws if they show another kind of archive.
 * @throws MalformedFileError if an entry is compressed, encrypted or outside the file, or if its name occurs twice or is a path
 * that leaves the archive.
 */
export function readZipDirectory(
  source: ByteSource,
  inspect: (names: readonly string[]) => void = () => {},
): Map<string, ZipEntry> {
  const { offset, size, count } = findDirectory(source);
  if (size > LARGEST_DIRECTORY) throw new MalformedFileError(`its zip directory claims ${size} bytes`);
  const directory = source.read(offset, size);
  inspect(entryNames(directory, count));
  const entries = new Map<string, ZipEntry>();
  let position = 0;
  for (let i = 0; i < count; i++) {
    const { header, end } = readCentralHeader(directory, position);
    if (entries.has(header.name)) throw new MalformedFileError(`two zip entries are named ${quote(header.name)}`);
    if (!header.name.endsWith('/')) entries.set(header.name, locate(source, header, offset));
    position = end;
  }
  if (position !== size)
    throw new MalformedFileError(`its zip directory holds more than the ${count} entries it counts`);
  return entries;
}

/** The names in a directory, up to the first damaged entry. */
function entryNames(directory: Uint8Array, count: number): string[] {
  const names: string[] = [];
  for (let at = 0; names.length < count; ) {
    const parts = headerParts(directory, at);
    if (parts === null) break;
    names.push(parts.name);
    at = parts.end;
  }
  return names;
}

/** The name in a central header, and where name, extra field and comment end; null if the header is damaged. */
function headerParts(directory: Uint8Array, start: number) {
  if (start + CENTRAL_SIZE > directory.length) return null;
  const view = viewOf(directory);
  if (view.getUint32(start, true) !== CENTRAL_SIGNATURE) return null;
  const nameEnd = start + CENTRAL_SIZE + view.getUint16(start + 28, true);
  const extraEnd = nameEnd + view.getUint16(start + 30, true);
  const end = extraEnd + view.getUint16(start + 32, true);
  if (end > directory.length) return null;
  return {
    name: Buffer.from(directory.subarray(start + CENTRAL_SIZE, nameEnd)).toString('utf8'),
    nameEnd,
    extraEnd,
    end,
  };
}

interface CentralHeader {
  readonly name: string;
  readonly size: number;
  readonly localOffset: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function uint64(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}

function findDirectory(source: ByteSource): { offset: number; size: number; count: number } {
  const tailSize = Math.min(source.size, END_SIZE + LONGEST_COMMENT);
  const tailOffset = source.size - tailSize;
  const tail = viewOf(source.read(tailOffset, tailSize));
  for (let at = tailSize - END_SIZE; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END_SIGNATURE) continue;
    if (at + END_SIZE + tail.getUint16(at + 20, true) !== tailSize) continue;
    const short = {
      count: tail.getUint16(at + 10, true),
      size: tail.getUint32(at + 12, true),
      offset: tail.getUint32(at + 16, true),
    };
    return findDirectory64(source, tailOffset + at) ?? short;
  }
  throw new MalformedFileError('its zip archive has no directory at the end: the file is cut off or damaged');
}

function findDirectory64(source: ByteSource, endOffset: number): ReturnType<typeof findDirectory> | null {
  if (endOffset < LOCATOR64_SIZE) return null;
  const locator = viewOf(source.read(endOffset - LOCATOR64_SIZE, LOCATOR64_SIZE));
  if (locator.getUint32(0, true) !== LOCATOR64_SIGNATURE) return null;
  const end = viewOf(source.read(uint64(locator, 8), END64_SIZE));
  if (end.getUint32(0, true) !== END64_SIGNATURE) throw new MalformedFileError('its ZIP64 directory is damaged');
  return { count: uint64(end, 32), size: uint64(end, 40), offset: uint64(end, 48) };
}

function readCentralHeader(directory: Uint8Array, start: number): { header: CentralHeader; end: number } {
  const parts = headerParts(directory, start);
  if (parts === null) throw new MalformedFileError(`its zip directory is damaged at byte ${start}`);
  const { name, nameEnd, extraEnd, end } = parts;
  const view = viewOf(directory);
  if (name.split(/[/\\]/).some((part) => part === '..') || /^[/\\]|^[a-z]:/i.test(name)) {
    throw new MalformedFileError(`zip entry ${quote(name)} leads out of the archive`);
  }
  if (view.getUint16(start + 8, true) & FLAG_ENCRYPTED) {
    throw new MalformedFileError(`zip entry ${quote(name)} is encrypted`);
  }
  if (view.getUint16(start + 10, true) !== METHOD_STORED) {
    throw new MalformedFileError(`zip entry ${quote(name)} is compressed, which PyTorch never does`);
  }
  // The ZIP64 record has, in this order, only those of the three values that are absent from the header.
  const extra = zip64Values(directory.subarray(nameEnd, extraEnd));
  const [size, storedSize, localOffset] = [24, 20, 42].map((field) => {
    const short = view.getUint32(start + field, true);
    return short === ABSENT_32 ? (extra.shift() ?? short) : short;
  }) as [number, number, number];
  if (size !== storedSize) throw new MalformedFileError(`zip entry ${quote(name)} has two different sizes`);
  return { header: { name, size, localOffset }, end };
}

function zip64Values(extra: Uint8Array): number[] {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = view.getUint16(at + 2, true);
    const end = at + 4 + length;
    if (end > extra.length) break;
    if (view.getUint16(at, true) === EXTRA_ZIP64) {
      return Array.from({ length: Math.floor(length / 8) }, (_, i) => uint64(view, at + 4 + 8 * i));
    }
    at = end;
  }
  return [];
}

function locate(source: ByteSource, header: CentralHeader, directoryOffset: number): ZipEntry {
  const beyond = () =>
    new MalformedFileError(
      `zip entry ${quote(header.name)} claims ${header.size} bytes, beyond the archive's own data`,
    );
  if (!(header.localOffset + LOCAL_SIZE + header.size <= directoryOffset)) throw beyond();
  const local = viewOf(source.read(header.localOffset, LOCAL_SIZE));
  if (local.getUint32(0, true) !== LOCAL_SIGNATURE) {
    throw new MalformedFileError(`zip entry ${quote(header.name)} does not begin where the directory says`);
  }
  const offset = header.localOffset + LOCAL_SIZE + local.getUint16(26, true) + local.getUint16(28, true);
  if (!(offset + header.size <= directoryOffset)) throw beyond();
  return { name: header.name, offset, size: header.size };
}
