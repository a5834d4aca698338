import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { ExecutionContext } from 'ava';
import { fcn, fcnProcess, type RunningCommand } from './command.js';
import { cityscapesFolder } from './datasets.js';

export const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
export const SET = (...changes: string[]) => changes.flatMap((change) => ['--set', change]);
export const TINY = ['--profile', 'smoke', '--engine', 'wasm', ...SET('width=4', 'training.batch=2')];

/** A folder with a small data set, and the paths of its first training and validation samples. */
export async function smallSet(t: ExecutionContext) {
  const cwd = await cityscapesFolder(t, 8);
  const root = path.join(cwd, 'data/cityscapes');
  const find = (...folder: string[]) => {
    const [first] = readdirSync(path.join(root, ...folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /(leftImg8bit|labelTrainIds)\.png$/.test(name))
      .sort();
    return path.join(root, ...folder, first!);
  };
  return {
    cwd,
    root,
    image: find('leftImg8bit', 'train'),
    label: find('gtFine', 'train'),
    validationImage: find('leftImg8bit', 'val'),
    runs: path.join(cwd, 'runs', ROW),
  };
}

/** The one run of a folder of runs; the folder itself while there is none yet. */
export const onlyRun = (runs: string) => path.join(runs, readdirSync(runs)[0] ?? '');

/** Whether a run has been begun in it. */
export const isBegun = (runs: string) => existsSync(runs) && readdirSync(runs).length > 0;

/** Cuts a file's end off. The header stays, so that only reading all of it shows. */
export const cut = (file: string) => truncate(file, 200);

/** Does something once a run's log has a line. */
export function whenLogged(runs: string, act: () => void | Promise<void>) {
  return async (child: RunningCommand) => {
    const logged = () => isBegun(runs) && existsSync(path.join(onlyRun(runs), 'log.jsonl'));
    while (child.exitCode === null && !logged()) await sleep(20);
    await act();
  };
}

/** Makes a file unreadable as YAML once a run has begun; `restore` undoes that, and says whether the run went on then. */
export function brokenMeanwhile(file: string, runs: string) {
  const before = readFileSync(file);
  let isBroken = false;
  return {
    async onStart(child: RunningCommand) {
      while (child.exitCode === null && !isBegun(runs)) await sleep(5);
      isBroken = child.exitCode === null;
      if (isBroken) writeFileSync(file, 'rows: [');
    },
    restore() {
      writeFileSync(file, before);
      return isBroken;
    },
  };
}

/** The environment of a process whose clock is wrong: `milliseconds` is an expression of how far, which is asked each time. */
export async function wrongClock(cwd: string, milliseconds: string) {
  const preload = path.join(cwd, 'clock.mjs');
  await writeFile(
    preload,
    `import { existsSync } from 'node:fs';
     const Real = Date;
     const now = () => Real.now() + (${milliseconds});
     globalThis.Date = class extends Real {
       constructor(...values) { super(...(values.length === 0 ? [now()] : values)); }
       static now() { return now(); }
     };`,
  );
  return { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` };
}

export const DAY = 24 * 3600 * 1000;

/** Trains in small steps until the log has six lines, then is told to end. */
export async function interruptedTraining(cwd: string, runs: string, env?: NodeJS.ProcessEnv) {
  const onStart = async (child: RunningCommand) => {
    while (child.exitCode === null && (!isBegun(runs) || logged(onlyRun(runs)).length < 6)) await sleep(10);
    child.kill('SIGTERM');
  };
  const parameters = ['train', ROW, ...TINY, ...STEPS];
  const result = await (env === undefined
    ? fcn(parameters, { cwd, onStart })
    : fcnProcess(parameters, { cwd, env, onStart }));
  return { ...result, run: onlyRun(runs) };
}

/** So many that the end does not come before the signal on a busy machine. */
export const ITERATIONS = 20;
export const STEPS = SET(`iterations=${ITERATIONS}`, 'logEvery=1', 'checkpointEvery=2');

/** The iterations of a run's log. */
export function logged(run: string): number[] {
  const file = path.join(run, 'log.jsonl');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => (JSON.parse(line) as { iteration: number }).iteration);
}

export const ALL = Array.from({ length: ITERATIONS }, (_, i) => i + 1);
