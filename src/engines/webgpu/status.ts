import { type AdapterDescription, chooseAdapter } from './adapters.js';
import { lookAtAdapters } from './look.js';
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

/** The state of the engine and its adapters. If the engine is installed, a process of its own loads the drivers. */
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
  const { adapters, complaint, failure } = await lookAtAdapters(folder);
  if (failure !== null) {
    const { message, next } = failure;
    return { kind: 'unusable', folder, adapters: [], reason: message.replace(/\.$/, ''), next };
  }
  const choice = chooseAdapter(
    adapters.map((description) => ({ description })),
    preferredAdapter(),
    complaint,
  );
  return choice.kind === 'chosen'
    ? { kind: 'ready', folder, adapters, chosen: choice.chosen.description }
    : { kind: 'unusable', folder, adapters, reason: choice.reason, next: choice.next };
}
