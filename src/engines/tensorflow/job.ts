import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { DownloadProgress, Fetcher } from '../../support/download.js';
import { UserError } from '../../support/errors.js';
import type { Variant, WheelSource } from './release.js';

/** The source of TensorFlow's library that --from names: a wheel file, or the folder of an installed package. */
export type GivenSource =
  | { readonly kind: 'wheel'; readonly file: string; readonly version: string | null }
  | { readonly kind: 'package'; readonly folder: string; readonly version: string | null };

/**
 * Finds out what --from names: a wheel, or a folder with TensorFlow's library (site-packages/tensorflow, or site-packages itself).
 * @throws UserError if it is neither.
 */
export async function readGivenSource(given: string, wheel: WheelSource): Promise<GivenSource> {
  const absolute = path.resolve(given);
  const found = await stat(absolute).catch(() => null);
  if (!found) throw new UserError(`--from: ${given} does not exist.`);
  if (found.isFile()) {
    const name = path.basename(absolute);
    const match = /^tensorflow(?:_cpu)?-(\d+\.\d+\.\d+)-.*\.whl$/.exec(name);
    if (!match)
      throw new UserError(`--from: ${given} is not a TensorFlow wheel (tensorflow-….whl or tensorflow_cpu-….whl).`);
    return { kind: 'wheel', file: absolute, version: match[1]! };
  }
  for (const folder of [absolute, path.join(absolute, 'tensorflow')]) {
    if (await isPackage(folder, wheel)) {
      const real = await realpath(folder);
      return { kind: 'package', folder: real, version: await packageVersionBeside(real) };
    }
  }
  throw new UserError(
    `--from: ${given} holds no TensorFlow: expected ${wheel.libraries.join(', ')} and include/tensorflow/c/c_api.h.`,
    'Give the folder that python3 -c "import tensorflow; print(tensorflow.__path__[0])" prints.',
  );
}

async function isPackage(folder: string, wheel: WheelSource): Promise<boolean> {
  const needed = [...wheel.libraries, path.join('include', 'tensorflow', 'c', 'c_api.h')];
  const present = await Promise.all(needed.map((name) => stat(path.join(folder, name)).catch(() => null)));
  return present.every((file) => file?.isFile());
}

/** The release by the name of the metadata folder that pip puts beside the package; null if there is none. */
async function packageVersionBeside(folder: string): Promise<string | null> {
  const names = await readdir(path.dirname(folder));
  for (const name of names.sort()) {
    const match = /^tensorflow(?:_cpu)?-(\d+\.\d+\.\d+)\.dist-info$/.exec(name);
    if (match) return match[1]!;
  }
  return null;
}

export interface InstallOptions {
  /** TensorFlow release, "2.21.0". Default: the tested one. */
  readonly version?: string;
  /** A TensorFlow wheel, or the folder of an installed TensorFlow, to use instead of a download. */
  readonly from?: string;
  /** The CUDA build, with NVIDIA's run-time libraries. */
  readonly gpu?: boolean;
  /** Install again, even if the build is complete. */
  readonly force?: boolean;
  readonly onProgress?: (progress: InstallProgress) => void;
  readonly signal?: AbortSignal;
  /** Folder of the builds. Default: the shared cache. */
  readonly root?: string;
  /** Address of the package index to download from: https. Default: the public one, or pip if that cannot be read. */
  readonly index?: string | undefined;
  readonly fetcher?: Fetcher;
  /** Expected SHA-256 of wheels by file name. Default: those of the tested releases. */
  readonly knownWheels?: Readonly<Record<string, string>>;
  /** Folder of compiled addons to use if they fit. Default: those that the package brings for this platform. */
  readonly bundledAddons?: string;
}

export interface InstallProgress {
  readonly step: 'wait' | 'fetch' | 'unpack' | 'compile' | 'check';
  readonly text: string;
  /** Done share of the step, 0 to 1, if known. */
  readonly fraction?: number;
  /** The bytes so far, if the step downloads a file itself. */
  readonly download?: DownloadProgress;
}

/** An installation: what is installed, from where, and to which folder. */
export interface InstallJob {
  readonly options: InstallOptions;
  readonly variant: Variant;
  readonly source: WheelSource;
  readonly given: GivenSource | null;
  readonly version: string;
  readonly root: string;
  readonly folder: string;
}

export function report(job: InstallJob, step: InstallProgress['step'], text: string, fraction?: number): void {
  job.options.onProgress?.({ step, text, ...(fraction === undefined ? {} : { fraction }) });
}

/** Folder of this build's wheels until it is complete. */
export function downloadFolder(job: InstallJob): string {
  return path.join(job.root, 'downloads', path.basename(job.folder));
}
