import { closeSync, fstatSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { withoutControls } from '../support/format.js';
import { MalformedFileError } from './malformed.js';

/** Bytes that can be read by range, so that a large file is never in memory as a whole. */
export interface ByteSource {
  /** The file's path, for messages. */
  readonly file: string;
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. The caller must not change them.
   * @throws MalformedFileError if the range is not inside the file; checked before anything is allocated.
   */
  read(offset: number, length: number): Uint8Array;
}

function assertInside(source: ByteSource, offset: number, length: number): void {
  if (offset < 0 || length < 0 || !(offset + length <= source.size)) {
    throw new MalformedFileError(
      `${length} bytes from byte ${offset} are beyond the end of the file (${source.size} bytes)`,
    );
  }
}

/** Bytes at the beginning of a file that show what it is. */
const HEAD = 4096;

export function headOf(source: ByteSource): Uint8Array {
  return source.read(0, Math.min(source.size, HEAD));
}

/** Each byte as the character of its number, to compare with text in ASCII. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Bytes in memory. Ranges are views, not copies. */
export class MemorySource implements ByteSource {
  constructor(
    readonly file: string,
    private readonly content: Uint8Array,
  ) {}

  get size(): number {
    return this.content.length;
  }

  read(offset: number, length: number): Uint8Array {
    assertInside(this, offset, length);
    return this.content.subarray(offset, offset + length);
  }
}

/**
 * A file that is read by range, each range into memory of its own. It is open only during a read, so there is nothing to close.
 * If it is replaced or changed between two reads, the next read fails.
 */
export class FileSource implements ByteSource {
  readonly size: number;
  private readonly identity: string;
  private openDescriptor: number | null = null;

  /** @throws UserError if the file is missing, unreadable or not a regular file. */
  constructor(readonly file: string) {
    const status = explained(file, () => statSync(file));
    // To open a pipe would wait for its writer.
    if (!status.isFile()) {
      throw new UserError(
        `${file} is not a regular file; a weights file was expected.`,
        status.isDirectory() ? adviceOnFolder(file) : undefined,
      );
    }
    this.size = status.size;
    this.identity = identityOf(status);
  }

  read(offset: number, length: number): Uint8Array {
    assertInside(this, offset, length);
    return this.withDescriptor((descriptor) => {
      if (identityOf(fstatSync(descriptor)) !== this.identity) throw this.changed();
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const count = readSync(descriptor, bytes, done, length - done, offset + done);
        if (count === 0) throw this.changed();
        done += count;
      }
      return bytes;
    });
  }

  /** Keeps the file open during `action`, for many small reads in a row. */
  keepOpen<T>(action: () => T): T {
    return this.withDescriptor((descriptor) => {
      this.openDescriptor = descriptor;
      try {
        return action();
      } finally {
        this.openDescriptor = null;
      }
    });
  }

  private withDescriptor<T>(action: (descriptor: number) => T): T {
    if (this.openDescriptor !== null) return action(this.openDescriptor);
    return explained(this.file, () => {
      const descriptor = openSync(this.file, 'r');
      try {
        return action(descriptor);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  private changed(): UserError {
    return new UserError(
      `${this.file} was changed while it was being read.`,
      'Run the same command again once the file is complete.',
    );
  }
}

/** What to give instead of a folder, depending on what is in it. */
function adviceOnFolder(folder: string): string {
  const names = explained(folder, () => readdirSync(folder).sort());
  const weights = names.find((name) => /\.(pth|pt|ckpt|bin|safetensors)$/i.test(name));
  if (weights !== undefined) return `Give a file in it, such as ${withoutControls(path.join(folder, weights))}.`;
  if (names.includes('saved_model.pb')) return 'It is a TensorFlow SavedModel; give weights as .pth or safetensors.';
  if (names.includes('data.pkl')) return 'It is an unpacked .pth file; give the file that it was unpacked from.';
  return 'Give a file of weights, .pth or safetensors.';
}

/** Runs what reads a file. @throws UserError for an error of the file system. */
function explained<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

function identityOf(status: Stats): string {
  return `${status.dev}:${status.ino}:${status.size}:${status.mtimeMs}`;
}
