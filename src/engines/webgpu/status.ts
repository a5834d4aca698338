import { UserError } from '../../support/errors.js';
import { type AdapterDescription, chooseAdapter, findAdapters } from './adapters.js';
import { inspectPackage, webgpuFolder } from './package.js';
import { preferredAdapter } from './preference.js';

/** Whether the engine can be started. */
export type WebgpuState =
  | {
      readonly kind: 'ready';
      readonly folder: string;
      readonly adapters: readonly AdapterDescription[];
      /** The adapter that it would use. */
      readonly chosen: AdapterDescription;
    }
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'unusable';
      readonly folder: string;
      readonly adapters: readonly AdapterDescription[];
      readonly reason: string;
      readonly next: string;
    };

/** The state of the engine and its adapters. Loads the GPU's driver, but only if the engine is installed. */
export async function webgpuState(): Promise<WebgpuState> {
  const installed = await inspectPackage(webgpuFolder());
  if (installed.kind === 'absent') return { kind: 'absent' };
  const { folder } = installed;
  if (installed.kind === 'damaged') {
    return {
      kind: 'unusable',
      folder,
      adapters: [],
      reason: `it is damaged: ${installed.reason}`,
      next: 'Repair it with fcn engines install --webgpu --force.',
    };
  }
  try {
    const found = await findAdapters(folder);
    const adapters = found.map(({ description }) => description);
    const choice = chooseAdapter(found, preferredAdapter());
    return choice.kind === 'chosen'
      ? { kind: 'ready', folder, adapters, chosen: choice.chosen.description }
      : { kind: 'unusable', folder, adapters, reason: choice.reason, next: choice.next };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { kind: 'unusable', folder, adapters: [], reason: error.message.replace(/\.$/, ''), next: error.next ?? '' };
  }
}
