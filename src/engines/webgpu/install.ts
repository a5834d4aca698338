import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { UserError } from '../../support/errors.js';
import { explainFileError, makeFolder, sha256File } from '../../support/files.js';
import { withLock } from '../../support/lock.js';
import { EngineUnavailableError } from '../engine.js';
import { runTool } from '../tool.js';
import {
  inspectPackage,
  platformFolder,
  WEBGPU_INTEGRITY,
  WEBGPU_PACKAGE,
  WEBGPU_VERSION,
  type WebgpuFile,
  type WebgpuManifest,
  webgpuFolder,
  writeWebgpuManifest,
} from './package.js';

interface WebgpuInstallOptions {
  /** The package's tarball, instead of a download. */
  readonly from?: string | undefined;
  /** Install again, even if it is complete. */
  readonly force?: boolean;
  /** Folder of the installations. Default: in the shared cache. */
  readonly root?: string;
  /** Expected integrity of the tarball. Default: that of the tested release. */
  readonly integrity?: string;
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

interface WebgpuInstallResult {
  /** False if it was complete already. */
  readonly installed: boolean;
  readonly folder: string;
  readonly manifest: WebgpuManifest;
}

/**
 * Installs the tested release of the npm package `webgpu` into a folder that projects share: the files of this platform. npm fetches the
 * tarball from the registry that it is set up for; its hash is in this code, so any mirror will do. No script of the package is run.
 * @throws EngineUnavailableError if the platform has none or npm cannot fetch it; UserError for another tarball or a full disk.
 */
export async function installWebgpu(options: WebgpuInstallOptions = {}): Promise<WebgpuInstallResult> {
  const { onProgress, signal } = options;
  const members = platformFolder();
  const folder = webgpuFolder(options.root);
  const find = async () => {
    const state = options.force === true ? null : await inspectPackage(folder, true);
    return state?.kind === 'complete' ? { installed: false, folder, manifest: state.manifest } : null;
  };
  // Without a lock, as the cache may be read-only.
  const present = await find();
  if (present !== null) return present;
  const onWait = (pid: number) => onProgress?.(`Waiting for another installation (process ${pid})`);
  const work = async () =>
    (await find()) ?? { installed: true, folder, manifest: await install(options, folder, members) };
  return withLock(`${folder}.lock`, work, { onWait, signal });
}

async function install(
  { from, integrity = WEBGPU_INTEGRITY, onProgress, signal }: WebgpuInstallOptions,
  folder: string,
  members: string,
): Promise<WebgpuManifest> {
  await rm(folder, { recursive: true, force: true });
  const download = path.join(folder, 'download');
  await makeFolder(download);
  if (from === undefined) onProgress?.(`npm fetches ${WEBGPU_PACKAGE} ${WEBGPU_VERSION} (51 MB)`);
  const tarball = from ?? (await npmPack(download, signal));
  onProgress?.('Checking and unpacking');
  await requireIntegrity(tarball, integrity);
  const files = await unpack(tarball, members, folder);
  await rm(download, { recursive: true, force: true });
  const installedAt = new Date().toISOString();
  const manifest: WebgpuManifest = { schema: 1, version: WEBGPU_VERSION, integrity, files, installedAt };
  await writeWebgpuManifest(folder, manifest);
  return manifest;
}

/** Fetches the tarball with npm, which knows registries, proxies and credentials. @returns its path. */
async function npmPack(folder: string, signal: AbortSignal | undefined): Promise<string> {
  const release = `${WEBGPU_PACKAGE}@${WEBGPU_VERSION}`;
  const result = await runTool('npm', ['pack', release, '--ignore-scripts', '--pack-destination', folder], { signal });
  if (result.outcome === 'success') {
    const [name] = (await readdir(folder)).filter((entry) => entry.endsWith('.tgz'));
    if (name !== undefined) return path.join(folder, name);
  }
  const advice = `Run fcn engines install --webgpu again with a connection, or give the tarball of ${release} with --from.`;
  if (result.outcome === 'absent') {
    throw new EngineUnavailableError('network', `There is no npm here, which fetches ${release}.`, advice);
  }
  const errors = result.stderr.split('\n').filter((line) => /^npm (?:error|ERR!)/.test(line));
  const reason = errors.map((line) => line.replace(/^npm (?:error|ERR!)\s*/, '')).find((line) => !/^code /.test(line));
  if (/ENOSPC|no space left/i.test(result.stderr)) {
    throw new UserError(
      `Disk full while npm fetched ${release} to ${folder}.`,
      'Free some space, or choose another folder with FCN_CACHE_DIR.',
    );
  }
  throw new EngineUnavailableError('network', `npm cannot fetch ${release}: ${reason ?? 'it says no reason'}.`, advice);
}

/** @throws UserError unless a tarball is the very one that was tested. */
async function requireIntegrity(tarball: string, integrity: string): Promise<void> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(tarball), hash).catch((error) => {
    throw explainFileError(error, tarball, 'read');
  });
  const found = `sha512-${hash.digest('base64')}`;
  if (found === integrity) return;
  throw new UserError(
    `${tarball} is not ${WEBGPU_PACKAGE} ${WEBGPU_VERSION}: its integrity is ${found}, ${integrity} expected.`,
    `Give the tarball that npm pack ${WEBGPU_PACKAGE}@${WEBGPU_VERSION} fetches, or leave out --from.`,
  );
}

/** Unpacks the platform's files, and the license, into `folder`. The hash of the whole was checked. */
async function unpack(tarball: string, members: string, folder: string): Promise<WebgpuFile[]> {
  const { extract } = await import('tar-stream');
  const wanted = new RegExp(`^package/(?:dist/${members}/([^/]+)|(LICENSE[^/]*))$`);
  const tar = extract();
  const names: string[] = [];
  const reading = pipeline(createReadStream(tarball), createGunzip(), tar);
  for await (const entry of tar) {
    const match = entry.header.type === 'file' ? wanted.exec(entry.header.name) : null;
    const name = match?.[1] ?? match?.[2];
    if (name === undefined) entry.resume();
    else {
      const file = path.join(folder, name);
      await pipeline(entry, createWriteStream(file)).catch((error) => {
        throw explainFileError(error, file, 'write');
      });
      names.push(name);
    }
  }
  await reading;
  const files: WebgpuFile[] = [];
  for (const name of names.sort()) {
    const file = path.join(folder, name);
    const { size } = await stat(file);
    files.push({ name, bytes: size, sha256: await sha256File(file) });
  }
  return files;
}
