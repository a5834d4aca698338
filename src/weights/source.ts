import { closeSync, fstatSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { withoutControls } from '../support/format.js';
import { MalformedFileError } from './malformed.js';

/** Bytes that can be read by range, so that a big file is never held whole. */
export interface ByteSource {
  /** The file's path, for messages. */
  readonly file: string;
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. The caller must not change them.
   * @throws MalformedFileError when the range is not inside the file: checked before anything is allocated.
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

/** Bytes that are in memory already. Ranges are views: no copy. */
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
 * A file read by range, each range into memory of its own. It is open only while it is read: nothing to close. A file
 * that is replaced or changed between two reads is noticed.
 */
export class FileSource implements ByteSource {
  readonly size: number;
  private readonly identity: string;
  private held: number | null = null;

  /** @throws UserError when the file is missing, unreadable or not a regular file. */
  constructor(readonly file: string) {
    const status = statusOf(file);
    // Opening a pipe would wait for its writer.
    if (!status.isFile()) {
      throw new UserError(
        `${file} is not a regular file, a weights file was expected.`,
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
      this.held = descriptor;
      try {
        return action();
      } finally {
        this.held = null;
      }
    });
  }

  private withDescriptor<T>(action: (descriptor: number) => T): T {
    if (this.held !== null) return action(this.held);
    let descriptor: number;
    try {
      descriptor = openSync(this.file, 'r');
    } catch (error) {
      throw explainFileError(error, this.file, 'read');
    }
    try {
      return action(descriptor);
    } catch (error) {
      throw explainFileError(error, this.file, 'read');
    } finally {
      closeSync(descriptor);
    }
  }

  private changed(): UserError {
    return new UserError(
      `${this.file} was changed while it was being read.`,
      'Run the same command again once the file is complete.',
    );
  }
}

/** What to give instead of a folder, by what is in it. */
function adviceOnFolder(folder: string): string {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch (error) {
    throw explainFileError(error, folder, 'read');
  }
  const weights = names.find((name) => /\.(pth|pt|ckpt|bin|safetensors)$/i.test(name));
  if (weights !== undefined) return `Give a file in it, as ${withoutControls(path.join(folder, weights))}.`;
  if (names.includes('saved_model.pb')) return 'It is a TensorFlow SavedModel; give weights as .pth or safetensors.';
  if (names.includes('data.pkl')) return 'It is an unpacked .pth file; give the file that it was unpacked from.';
  return 'Give a file of weights, .pth or safetensors.';
}

function statusOf(file: string): Stats {
  try {
    return statSync(file);
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

function identityOf(status: Stats): string {
  return `${status.dev}:${status.ino}:${status.size}:${status.mtimeMs}`;
}
