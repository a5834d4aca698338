import { fileURLToPath } from 'node:url';
import { runTool } from '../tool.js';
import type { AdapterDescription } from './adapters.js';

/** What another process found on this machine. */
interface Look {
  readonly adapters: readonly AdapterDescription[];
  /** Why a driver cannot be used, as Dawn says it; null if it says nothing. */
  readonly complaint: string | null;
  /** Why nothing could be found out. */
  readonly failure: { readonly message: string; readonly next: string } | null;
}

const PROGRAM = fileURLToPath(new URL('./list-adapters.js', import.meta.url));

/** By folder of the package. */
const looks = new Map<string, Promise<Look>>();

/**
 * All adapters, found by a process of its own, once. In this process, Dawn and the drivers would print on standard error what they miss, even
 * if another engine is used, and their libraries would stay in memory.
 * @param folder The installed package.
 */
export function lookAtAdapters(folder: string): Promise<Look> {
  const known = looks.get(folder) ?? look(folder);
  looks.set(folder, known);
  return known;
}

async function look(folder: string): Promise<Look> {
  const { outcome, stdout, stderr } = await runTool(process.execPath, [PROGRAM, folder]);
  if (outcome !== 'success') {
    const [first = 'it says no reason'] = stderr.split('\n').filter((line) => line.trim() !== '');
    const message = `A driver ended the process that asked for GPUs: ${first}`;
    const failure = { message, next: 'Update the driver, or use another engine.' };
    return { adapters: [], complaint: null, failure };
  }
  const found = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Omit<Look, 'complaint'>;
  return { ...found, complaint: complaintIn(stderr) };
}

/** Dawn's warning of a driver that it refuses; another kind only tells of a lower limit. */
export function complaintIn(stderr: string): string | null {
  const warnings = [...stderr.matchAll(/^Warning: (.*)$/gm)].map(([, text]) => text!.trim().replace(/\.$/, ''));
  return warnings.filter((text) => !text.includes('artificially reduced')).at(-1) ?? null;
}
