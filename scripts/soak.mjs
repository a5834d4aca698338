#!/usr/bin/env node
// Kills runs, resumes them, and compares them bit for bit with an uninterrupted one; or trains for a long time and watches memory.
// Needs the built package.
//
//   node scripts/soak.mjs [KILLS=200] [--engine wasm] [--seed 0] [--json]
//   node scripts/soak.mjs --constant [ITERATIONS=3000] [--width 64] [--engine wasm] [--json]
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const root = fileURLToPath(new URL('..', import.meta.url));
const { median } = await import('../dist/src/measurement/roofline.js');
const { Draws, Purpose } = await import('../dist/src/support/random.js');

/** When runs are killed, in the order of a run. */
const PHASES = ['train', 'checkpoint', 'evaluate', 'evaluate-ms', 'benchmark', 'record'];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'wasm' },
    seed: { type: 'string', default: '0' },
    constant: { type: 'boolean', default: false },
    width: { type: 'string', default: '64' },
    json: { type: 'boolean', default: false },
  },
});

const say = (text) => process.stderr.write(`${text}\n`);
const settings = (changes) => changes.flatMap((change) => ['--set', change]);
const TINY = ['--profile', 'smoke', '--engine', flags.engine, ...settings(['width=4', 'training.batch=2'])];
const RUN = [
  'reproduce',
  ROW,
  ...TINY,
  ...settings(['iterations=9', 'checkpointEvery=2', 'logEvery=2', 'ratios=[0.5, 1]', 'evaluation.limit=3']),
  ...settings(['benchmark.images=2', 'benchmark.warmup=0', 'trainingSteps=1', 'trainingBatch=1']),
  // Evaluations coincide with checkpoints, and fall between two.
  ...['--evaluate-every', '3'],
  // Evaluations save their position after every image.
  '--max-loss',
  '1ms',
];

/** Starts fcn in a folder. */
function start(parameters, cwd) {
  const child = spawn(process.execPath, [path.join(root, 'bin', 'run.js'), ...parameters], {
    cwd,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  return { child, ended };
}

async function finish(parameters, cwd) {
  const { code, stderr } = await start(parameters, cwd).ended;
  if (code !== 0) throw new Error(`fcn ${parameters[0]} ended with ${code}:\n${stderr}`);
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/** The newest run directory; null if there is none yet. */
function newestRun(cwd) {
  const folder = path.join(cwd, 'runs', ROW);
  const ids = existsSync(folder) ? readdirSync(folder).sort() : [];
  return ids.length === 0 ? null : path.join(folder, ids.at(-1));
}

const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');
const without = (object, ...keys) => Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));

/** What must not depend on interruptions: everything except times, memory and speed. */
function outcome(run) {
  const record = readJson(path.join(run, 'record.json'));
  const { train, evaluate, 'evaluate-ms': multiScale } = record.details;
  const stem = path.join(run, 'checkpoints', path.basename(record.weights.file, '.safetensors'));
  const log = readFileSync(path.join(run, 'log.jsonl'), 'utf8').trimEnd().split('\n');
  return {
    exitReason: record.exitReason,
    stages: record.stages.map(({ stage }) => stage),
    weights: sha256(`${stem}.safetensors`),
    optimizer: sha256(`${stem}.optimizer.safetensors`),
    recorded: record.weights.sha256,
    log: log.map((line) => without(JSON.parse(line), 'secondsPerIteration', 'dataSeconds', 'processBytes')),
    train: without(train, 'seconds', 'peakProcessBytes'),
    evaluate: without(evaluate, 'seconds'),
    multiScale: without(multiScale, 'seconds'),
    figures: without(record.figures, 'fps', 'memoryGB'),
    leftovers: readdirSync(run, { recursive: true }).filter((name) => /\.tmp$|lock/.test(name)),
  };
}

/** Lists what is wrong with the kept records: each run directory must have an identical one, and there must be no others. */
function wrongRecords(cwd, runs) {
  const folder = path.join(cwd, 'results', 'records');
  const expected = new Map(
    runs.map((run) => [`${ROW}.smoke.${path.basename(run)}.json`, path.join(run, 'record.json')]),
  );
  const names = readdirSync(folder);
  return [
    ...names.filter((name) => !expected.has(name)).map((name) => `${name} should not be there`),
    ...[...expected]
      .filter(([name, own]) => !names.includes(name) || sha256(path.join(folder, name)) !== sha256(own))
      .map(([name]) => `${name} is not the run's record`),
  ];
}

/** The keys of two outcomes that are not the same. */
function differences(a, b) {
  return Object.keys(a).filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]));
}

/** Resolves when a file whose name has `part` is being written in a folder. */
async function fileIsWritten(folder, part, child) {
  while (!existsSync(folder) && child.exitCode === null) await sleep(2);
  if (child.exitCode !== null) return;
  await new Promise((resolve) => {
    const watcher = watch(folder, (_, name) => {
      if (name?.includes(part)) done();
    });
    const done = () => {
      watcher.close();
      resolve();
    };
    child.on('exit', done);
  });
}

/** Resolves at a random moment of a phase of the run that `child` executes, or when that has ended. */
async function momentInPhase(phase, cwd, known, child, milliseconds) {
  let run = newestRun(cwd);
  while ((run === null || known.has(run)) && child.exitCode === null) {
    await sleep(2);
    run = newestRun(cwd);
  }
  if (child.exitCode !== null) return;
  if (phase === 'checkpoint') await fileIsWritten(path.join(run, 'checkpoints'), '.tmp', child);
  else if (phase === 'record') await fileIsWritten(run, '.record.json', child);
  else while (readJson(path.join(run, 'status.json'))?.stage !== phase && child.exitCode === null) await sleep(2);
  await sleep(milliseconds);
}

async function killTest(kills) {
  const cwd = mkdtempSync(path.join(os.tmpdir(), 'fcn-soak-'));
  const draws = new Draws(Number(flags.seed), Purpose.generate, 0);
  const killed = Object.fromEntries(PHASES.map((phase) => [phase, 0]));
  const failures = [];
  let runs = 0;
  try {
    await finish(['datasets', 'generate', 'cityscapes', '--images', '12', '--size', '64x128'], cwd);
    await finish(RUN, cwd);
    const first = newestRun(cwd);
    const expected = outcome(first);
    const seconds = Object.fromEntries(
      readJson(path.join(first, 'record.json')).stages.map((stage) => [stage.stage, stage.seconds]),
    );
    const known = new Set([first]);
    let phase = 0;
    let count = 0;
    for (let attempt = 0; count < kills && attempt < 3 * kills; attempt++) {
      const { child, ended } = start(RUN, cwd);
      const name = PHASES[phase];
      // Writing a file takes a few milliseconds.
      await momentInPhase(name, cwd, known, child, draws.uniform(attempt) * (seconds[name] ?? 0.004) * 1000);
      child.kill('SIGKILL');
      const { code, signal, stderr } = await ended;
      if (signal === 'SIGKILL') {
        count++;
        killed[name]++;
        if (!flags.json) say(`${count}/${kills} killed in ${name}`);
      } else if (code !== 0) {
        failures.push({ run: newestRun(cwd), phase: name, code, stderr });
      }
      phase = (phase + 1) % PHASES.length;
      const completed = readJson(path.join(newestRun(cwd) ?? cwd, 'status.json'))?.state === 'completed';
      if (phase !== 0 && count < kills && !completed) continue;
      // A run that was killed after it had written its record is already complete: --resume only shows it.
      if (!completed || signal === 'SIGKILL') await finish([...RUN, '--resume'], cwd);
      const run = newestRun(cwd);
      known.add(run);
      const different = [...differences(expected, outcome(run)), ...wrongRecords(cwd, [...known])];
      if (different.length > 0) failures.push({ run, different });
      runs++;
      phase = 0;
    }
    if (count < kills)
      failures.push({ missed: `Only ${count} of ${kills} runs were killed: the others had ended before.` });
    return { kills: count, killed, runs, failures };
  } finally {
    if (failures.length === 0) rmSync(cwd, { recursive: true, force: true });
    else say(`The runs are kept in ${cwd}.`);
  }
}

const CHECKPOINT_EVERY = 50;
/** Nothing is compared before this iteration. */
const SETTLED = 100;

/** How much the median of the last third of the samples may exceed that of the first, as a share. */
const MOST_GROWTH = 0.02;
/** In each third. */
const FEWEST_SAMPLES = 10;

/** Null if there are too few values. */
function growthOf(values) {
  if (values.length < 3 * FEWEST_SAMPLES) return null;
  const third = Math.floor(values.length / 3);
  return median(values.slice(-third)) / median(values.slice(0, third)) - 1;
}

/**
 * Trains for a long time on small input. The number and bytes of tensors must not change. After a hundred iterations the process's
 * memory must not grow: neither what is resident before each checkpoint, nor the peak since the checkpoint before. Garbage is
 * collected first, because V8 collects it at unpredictable times.
 */
async function constantTest(iterations) {
  const cwd = mkdtempSync(path.join(os.tmpdir(), 'fcn-soak-'));
  try {
    await finish(['datasets', 'generate', 'cityscapes', '--images', '12', '--size', '64x128'], cwd);
    const { startEngine } = await import('../dist/src/engines/selection.js');
    const { resolve } = await import('../dist/src/recipe/resolve.js');
    const { train } = await import('../dist/src/training/train.js');
    const { processMemory, resetPeakMemory } = await import('../dist/src/engines/memory.js');
    const engine = await startEngine({ engine: flags.engine });
    const overrides = [
      `width=${flags.width}`,
      'training.batch=2',
      `iterations=${iterations}`,
      'data.cropHw=[32, 32]',
      `training.checkpointEvery=${CHECKPOINT_EVERY}`,
    ];
    const experiment = resolve({ row: ROW, profile: 'smoke', overrides });
    const samples = [];
    const collectGarbage = garbageCollector();
    let measured = false;
    await train({
      experiment,
      engine,
      dataRoot: path.join(cwd, 'data'),
      directory: path.join(cwd, 'run'),
      keepCheckpoints: 2,
      mostSecondsLost: 300,
      onProgress: ({ iteration }) => {
        // Just before a checkpoint, so that the interval includes the whole of the one before.
        if (iteration % CHECKPOINT_EVERY !== CHECKPOINT_EVERY - 1) return;
        const { peakBytes } = processMemory();
        collectGarbage();
        // Another thread returns freed memory to the system.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
        if (iteration > SETTLED) {
          const { numTensors, numBytes } = engine.tf.memory();
          samples.push({ iteration, numTensors, numBytes, ...processMemory(), peakBytes });
          if (!flags.json) say(JSON.stringify(samples.at(-1)));
        }
        measured = resetPeakMemory();
      },
    });
    const [first] = samples;
    const growth = {
      resident: growthOf(samples.map(({ residentBytes }) => residentBytes)),
      peak: measured ? growthOf(samples.map(({ peakBytes }) => peakBytes)) : null,
    };
    const constant = samples.every((s) => s.numTensors === first.numTensors && s.numBytes === first.numBytes);
    const failures = [
      ...(constant ? [] : ['The number or the bytes of the tensors changed.']),
      ...(measured ? [] : ['Only Linux reports the peak memory of an interval.']),
      ...Object.entries(growth)
        .filter(([, value]) => value > MOST_GROWTH)
        .map(([name, value]) => `The ${name} memory grew by ${(value * 100).toFixed(1)} %.`),
    ];
    return { iterations, tensors: first.numTensors, constant, growth, samples, failures };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** V8's `gc`, in a process that was started without --expose-gc. */
function garbageCollector() {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}

const count = Number(positionals[0] ?? (flags.constant ? 3000 : 200));
const fewest = flags.constant ? SETTLED + CHECKPOINT_EVERY : 1;
if (!(count >= fewest)) {
  say(`${positionals[0]}: expected a number of at least ${fewest}.`);
  process.exit(2);
}
const enough = SETTLED + 3 * FEWEST_SAMPLES * CHECKPOINT_EVERY;
if (flags.constant && count < enough && !flags.json)
  say(`Memory is compared only in trainings of at least ${enough} iterations.`);
const report = flags.constant ? await constantTest(count) : await killTest(count);
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.exitCode = report.failures.length === 0 ? 0 : 1;
