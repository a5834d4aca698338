import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { compilePixelCode, Workspace } from './workspace.js';

/** A larger memory is given back when its work is done. It cannot shrink otherwise. */
const KEPT_BYTES = 64 * 2 ** 20;

let compiled: object | null | undefined;
let opened: Workspace | null = null;

/** This thread's workspace, empty. Null if the processor cannot run it: then the JavaScript in `transforms/` does the same. */
export function openWorkspace(): Workspace | null {
  if (compiled === undefined) {
    const bytes = readFileSync(new URL('./pixels.wasm', import.meta.url));
    compiled = endianness() === 'LE' ? compilePixelCode(bytes) : null;
  }
  if (compiled === null) return null;
  if (opened === null || opened.size > KEPT_BYTES) opened = Workspace.create(compiled);
  opened.clear();
  return opened;
}
