import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
export const SMOKE = ['train', ROW, '--profile', 'smoke', '--engine', 'wasm'];
export const SET = (...changes: string[]) => changes.flatMap((change) => ['--set', change]);

/** A file of the one run in a working folder; null while it is not there. */
export function fileOfRun(cwd: string, name: string): string | null {
  const folder = path.join(cwd, 'runs', ROW);
  const [run] = existsSync(folder) ? readdirSync(folder) : [];
  const file = path.join(folder, run ?? '', name);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
