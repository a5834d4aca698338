import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

/** A new empty folder, removed when the test ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'fcn-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files, given by their path below a folder. */
export async function writeFiles(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}

/** Sets the cache of this process until the test ends. Tests of the file must not run at once. */
export function useCache(t: ExecutionContext, folder: string): void {
  const before = process.env['FCN_CACHE_DIR'];
  process.env['FCN_CACHE_DIR'] = folder;
  t.teardown(() => {
    if (before === undefined) delete process.env['FCN_CACHE_DIR'];
    else process.env['FCN_CACHE_DIR'] = before;
  });
}
