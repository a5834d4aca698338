import path from 'node:path';
import type { Variant, WheelSource } from './release.js';
import type { GivenSource } from './source.js';

export interface InstallOptions {
  /** TensorFlow release, "2.21.0"; the default is the release that is tested. */
  readonly version?: string;
  /** A TensorFlow wheel, or the folder of an installed TensorFlow, to take the library from instead of fetching it. */
  readonly from?: string;
  /** The CUDA build, with NVIDIA's run-time libraries. */
  readonly gpu?: boolean;
  /** Install anew even where the build is complete. */
  readonly force?: boolean;
  readonly onProgress?: (progress: InstallProgress) => void;
  readonly signal?: AbortSignal;
  /** Folder of the builds; the shared cache unless given. */
  readonly root?: string;
  /** Expected SHA-256 of wheels by file name; those of the tested releases unless given. */
  readonly knownWheels?: Readonly<Record<string, string>>;
}

export interface InstallProgress {
  readonly step: 'wait' | 'fetch' | 'unpack' | 'compile' | 'check';
  readonly text: string;
  /** Share of the step that is done, 0 to 1, where it is known. */
  readonly fraction?: number;
}

/** One installation, resolved: what is installed, from where, and into which folder. */
export interface Job {
  readonly options: InstallOptions;
  readonly variant: Variant;
  readonly source: WheelSource;
  readonly given: GivenSource | null;
  readonly version: string;
  readonly root: string;
  readonly folder: string;
}

/** Tells whoever asked for the installation how far it is. */
export function report(job: Job, step: InstallProgress['step'], text: string, fraction?: number): void {
  job.options.onProgress?.({ step, text, ...(fraction === undefined ? {} : { fraction }) });
}

/** Where the wheels of this build are kept until it is complete. */
export function downloadFolder(job: Job): string {
  return path.join(job.root, 'downloads', path.basename(job.folder));
}
