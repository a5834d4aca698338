import { createHash, randomBytes } from 'node:crypto';
import { constants, createReadStream, type Dirent } from 'node:fs';
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { UserError } from './errors.js';

/** Turns an error of the operating system that a user can fix into a `UserError`; returns any other error unchanged. */
export function explainFileError(error: unknown, file: string, action: 'read' | 'write'): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new UserError(
        `Disk full while writing ${file}.`,
        'Free some space or choose another folder, then run the same command again.',
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UserError(`No permission to ${action} ${file} (${code}).`, `Choose a folder that you can ${action}.`, {
        cause: error,
      });
    case 'ENOENT':
      return action === 'read'
        ? new UserError(`${file} does not exist.`, undefined, { cause: error })
        : new UserError(`${file} cannot be created.`, 'Choose a folder that you can write.', { cause: error });
    case 'ENOTDIR':
    case 'EEXIST':
      return new UserError(`${file}: a part of this path is a file, a folder was expected.`, undefined, {
        cause: error,
      });
    case 'EISDIR':
    // What Node's `rm` says of a folder.
    case 'ERR_FS_EISDIR':
      return new UserError(`${file} is a folder, a file was expected.`, undefined, { cause: error });
    case 'ENAMETOOLONG':
      return new UserError(`${file} cannot be used: the system takes no path or name of this length.`, undefined, {
        cause: error,
      });
    case 'ELOOP':
      return new UserError(`${file} cannot be used: its links lead in a circle.`, undefined, { cause: error });
    default:
      return error;
  }
}

/** Whether a file or folder of this path exists. */
export async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Whether a path leads to a folder, directly or through links. */
export async function isFolder(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Text of a file; null if it does not exist. @throws UserError if it cannot be read. */
export async function readTextIfPresent(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  });
}

/** Entries of a folder; none if it does not exist. @throws UserError if it cannot be read. */
export async function entriesIn(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw explainFileError(error, folder, 'read');
  });
}

/** Sorted names of the folders in a folder, without hidden ones, but with links to folders. Otherwise as `entriesIn`. */
export async function foldersIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesIn(folder)) {
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(path.join(folder, entry.name))))) {
      names.push(entry.name);
    }
  }
  return names.sort();
}

/**
 * Creates a folder and its missing parents; it may exist already. Node's own recursive `mkdir` never returns if a folder exists but
 * takes no entries, as in /proc.
 * @throws UserError if it cannot be created.
 */
export async function makeFolder(folder: string): Promise<void> {
  await makeFolders(folder).catch((error) => {
    throw explainFileError(error, folder, 'write');
  });
}

async function makeFolders(folder: string): Promise<void> {
  const make = () =>
    mkdir(folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error;
    });
  try {
    await make();
  } catch (error) {
    const parent = path.dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
    await makeFolders(parent);
    await make();
  }
}

/** Looks without writing. @throws UserError if a folder, or the one in which it would be created, takes no files. */
export async function assertWritable(folder: string, existing = folder): Promise<void> {
  const there = path.resolve(existing);
  try {
    if (!(await stat(there)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    await access(there, constants.W_OK | constants.X_OK);
  } catch (error) {
    const parent = path.dirname(there);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && parent !== there) return assertWritable(folder, parent);
    throw explainFileError(error, folder, 'write');
  }
}

/** Removes the temporary files that `writeFileAtomic` of a killed process left in a folder. Nobody may be writing there. */
export async function removeHalfWritten(folder: string, ofFile: (name: string) => boolean = () => true): Promise<void> {
  for (const { name } of await entriesIn(folder)) {
    const file = /^\.(.+)\.[0-9a-f]{8}\.tmp$/.exec(name)?.[1];
    if (file !== undefined && ofFile(file)) await rm(path.join(folder, name), { force: true });
  }
}

/** Errors of file systems and systems that do not flush folders. */
const NO_FOLDER_SYNC: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES', 'EBADF']);

/** Makes sure that the names in a folder are on the disk, if the system can. */
async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders.
  if (process.platform === 'win32') return;
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!NO_FOLDER_SYNC.has((error as NodeJS.ErrnoException).code)) throw error;
  }
}

/**
 * Writes a file so that it is either complete or absent: temporary file beside it, fsync, rename, fsync of the folder, so that
 * nothing removed afterwards is gone before this file exists. Creates the folder.
 * @throws UserError if the disk is full or the folder cannot be written.
 */
export async function writeFileAtomic(
  file: string,
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  /** The file that errors name. */
  named: string = file,
): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    await makeFolders(path.dirname(file));
    const handle = await open(temporary, 'wx');
    try {
      if (typeof content === 'string' || content instanceof Uint8Array) await handle.writeFile(content);
      else for await (const chunk of content) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    // The user needs the first error; if the folder cannot be written, there is nothing to remove.
    await rm(temporary, { force: true }).catch(() => {});
    throw explainFileError(error, named, 'write');
  }
}

/** SHA-256 of a file's bytes, in hexadecimal. Reads it in pieces. @throws the signal's reason on abort. */
export async function sha256File(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
  return hash.digest('hex');
}

/** Hashes by file and what changes whenever a file does. */
const known = new Map<string, string>();

/** As `sha256File`, but a file that is as it was when this process hashed it so is not read again. */
export async function sha256Once(file: string, signal?: AbortSignal): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  const key = [dev, ino, size, mtimeNs, ctimeNs].join(':');
  const sha256 = known.get(key) ?? (await sha256File(file, signal));
  known.set(key, sha256);
  return sha256;
}
