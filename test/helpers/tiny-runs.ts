import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { readSplit } from '../../src/data/split.js';
import type { EngineName } from '../../src/engines/engine.js';
import { deviations, resolve } from '../../src/recipe/resolve.js';
import { execute } from '../../src/runs/execute.js';
import type { ExecuteOptions } from '../../src/runs/prepare-run.js';
import { InterruptedError } from '../../src/support/errors.js';
import { generated } from './datasets.js';
import { temporaryFolder } from './folder.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const OVERRIDES = ['training.batch=2', 'iterations=9', 'logEvery=1', 'checkpointEvery=1000', 'data.cropHw=[32, 32]'];

interface TinyRun {
  readonly engine?: EngineName;
  readonly width?: number;
}

/** A small data set, and runs of a tiny row on it. */
export async function workplace(t: ExecutionContext, { engine = 'wasm', width = 4 }: TinyRun = {}) {
  const overrides = [`width=${width}`, ...OVERRIDES];
  const { dataset, dataRoot } = await generated(t, 'cityscapes', 24, 64);
  const folder = await temporaryFolder(t);
  const experiment = resolve({ row: ROW, profile: 'smoke', overrides });
  const said: string[] = [];
  /** `stopAt`: asked after each step and image; the run ends at the next one. */
  const run = (changes: Partial<ExecuteOptions> = {}, stopAt: () => boolean = () => false) => {
    said.length = 0;
    const controller = new AbortController();
    return execute({
      experiment,
      overrides,
      deviations: deviations(experiment, undefined),
      stages: ['train', 'evaluate'],
      engine,
      deterministic: false,
      convolution: 'fast',
      dataRoot,
      runs: path.join(folder, 'runs'),
      results: path.join(folder, 'results'),
      force: false,
      offline: true,
      tensorboard: false,
      resume: 'unfinished',
      keepCheckpoints: 2,
      mostSecondsLost: 0.001,
      signal: controller.signal,
      saveRequested: () => {
        if (stopAt()) controller.abort(new InterruptedError('Stopped.'));
        return false;
      },
      note: (text) => said.push(text),
      display: 'silent',
      checkData: 'fast',
      skipBad: 0,
      checkedData: new Map(),
      ...changes,
    });
  };
  const runs = () => {
    const parent = path.join(folder, 'runs', ROW);
    return existsSync(parent) ? readdirSync(parent).map((id) => path.join(parent, id)) : [];
  };
  const [train, val] = [await readSplit(dataset, 'train', dataRoot), await readSplit(dataset, 'val', dataRoot)];
  return { run, runs, said, train, val };
}
