import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import type { RunRecord } from '../../src/records/record.js';
import { sha256File } from '../../src/support/files.js';
import { fcn, fcnProcess } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { fileOfRun, ROW, SET } from '../helpers/smoke-run.js';

const RUN = [
  ...['reproduce', ROW, '--profile', 'smoke', '--engine', 'wasm', '--stage', 'train', '--stage', 'evaluate-ms'],
  ...SET('width=4', 'training.batch=2', 'iterations=6', 'checkpointEvery=2', 'logEvery=1', 'ratios=[0.5, 1]'),
  // Evaluations note their position after every image.
  ...['--max-loss', '1ms'],
];

/** All of the folder's run that must not depend on whether it was killed: everything but times, memory and speed. */
async function outcome(cwd: string) {
  const folder = path.join(cwd, 'runs', ROW);
  const runs = readdirSync(folder);
  const run = path.join(folder, runs[0]!);
  const { details, weights, stages, exitReason } = JSON.parse(fileOfRun(cwd, 'record.json')!) as RunRecord;
  const { seconds: _, peakProcessBytes: __, ...train } = details.train!;
  const { seconds: ___, ...evaluation } = details['evaluate-ms']!;
  const stem = path.join(run, 'checkpoints', path.basename(weights!.file, '.safetensors'));
  const log = readFileSync(path.join(run, 'log.jsonl'), 'utf8').trimEnd().split('\n');
  return {
    runs: runs.length,
    exitReason,
    stages: stages.map(({ stage }) => stage),
    weights: await sha256File(`${stem}.safetensors`),
    optimizer: await sha256File(`${stem}.optimizer.safetensors`),
    losses: log.map((line) => (JSON.parse(line) as { loss: number }).loss),
    train,
    evaluation,
    leftovers: readdirSync(run, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tmp$|lock/.test(name)),
    records: readdirSync(path.join(cwd, 'results', 'records')).length,
  };
}

/**
 * Runs a process that kills itself when it is about to give a file that it has written its name (`before`), or has just done
 * so: the same moment in every run of this test.
 */
async function killed(cwd: string, file: string, before: boolean) {
  const preload = path.join(cwd, 'kill.mjs');
  await writeFile(
    preload,
    `import files from 'node:fs/promises';
     import { syncBuiltinESMExports } from 'node:module';
     const { rename } = files;
     files.rename = async (from, to) => {
       const kills = String(to).endsWith(${JSON.stringify(file)});
       if (!(kills && ${before})) await rename(from, to);
       if (kills) process.kill(process.pid, 'SIGKILL');
     };
     syncBuiltinESMExports();`,
  );
  return fcnProcess(RUN, { cwd, env: { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` } });
}

// Killed at random moments of every stage: survival.long.test.ts.
test.serial(
  'a run that is killed in training, in a checkpoint and in an evaluation ends as one that never was, to the bit',
  async (t) => {
    const whole = await cityscapesFolder(t, 8);
    t.is((await fcn(RUN, { cwd: whole })).code, 0);
    const cwd = await cityscapesFolder(t, 8);
    t.is((await killed(cwd, 'iteration-4.safetensors', true)).code, null);
    t.deepEqual(
      [2, 4].map((iteration) => fileOfRun(cwd, `checkpoints/iteration-${iteration}.json`) !== null),
      [true, false],
    );
    t.is((await killed(cwd, 'evaluate-ms.position.json', false)).code, null);
    const resumed = await fcn(RUN, { cwd });
    t.is(resumed.code, 0, resumed.stderr);
    t.deepEqual(await outcome(cwd), await outcome(whole));
  },
);
