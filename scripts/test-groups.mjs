// Test files that share a process in `npm test`. A process of its own costs a file 0.4 s of processor time before its first test (ava, the
// imports), and an engine as much again: more than most files need for their tests. Named by itself, a file runs by itself.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './setup.mjs';

const compiled = path.join(root, 'dist', 'test');
const folder = path.join(compiled, 'together');

/**
 * Files below test/, without ".test.ts", by the name of their process; `FOLDER/*` are all of a folder and below but those in ALONE.
 * What takes part finds and leaves the process as any test does: environment, working folder, listeners, memory. A test that does not
 * is serial: ava runs all serial ones of a process first, one after another. Titles differ.
 */
const GROUPS = {
  stages: [
    ...['commands/fine-tune', 'commands/runs', 'commands/series', 'commands/threads', 'commands/verify'],
    ...['runs/execute', 'runs/take-run', 'runs/interrupted-before'],
  ],
  disturbances: [
    ...['commands/checks', 'commands/faults', 'commands/full-disk', 'commands/interruption', 'commands/resume'],
    'commands/survival',
  ],
  printing: [
    ...['cli/cluster-flags', 'commands/datasets', 'commands/kept-records', 'commands/leaderboard', 'commands/mistakes'],
    ...['commands/report-error', 'commands/table', 'pages/compare/compare', 'pages/compare/recipes', 'pages/report'],
    'training-logs/summary',
  ],
  data: ['data/*', 'datasets/*'],
  installing: ['engines/bundled-addons', 'engines/install', 'engines/manifest', 'engines/package-index'],
  measuring: [
    ...['evaluation/memory', 'evaluation/parallel-predictor', 'measurement/benchmark', 'measurement/kernel-costs'],
    ...['measurement/network-cost', 'network/complexity', 'parity/evaluate', 'parity/interruption'],
    ...['runs/network-timing', 'runs/prediction-threads', 'runs/resources'],
  ],
  parts: [
    ...['cli/command-with', 'cli/job-arguments', 'cli/next-steps', 'cli/stderr', 'cli/task-command', 'documents'],
    ...['engines/allocator', 'engines/environment', 'engines/nvidia', 'engines/requirement', 'engines/scratch'],
    ...['engines/wheel', 'evaluation/class-figures', 'evaluation/metrics', 'evaluation/reduce-zero-label'],
    ...['evaluation/windows', 'kernels/winograd-path', 'measurement/inputs', 'measurement/test-size'],
    ...['network/architecture', 'network/initial-weights', 'network/initialise', 'network/load-report'],
    ...['parity/check', 'parity/npy', 'parity/set', 'prediction/overlay', 'scripts/*', 'support/*'],
    ...['terminal/layout', 'training/schedule'],
  ],
  records: ['nightly/history', 'nightly/join', 'nightly/missing', 'recipe/*', 'records/*', 'training-logs/*'],
  runs: [
    ...['runs/check-data', 'runs/directory', 'runs/doctor', 'runs/inspect', 'runs/log', 'runs/other-profile'],
    ...['runs/plan', 'runs/precision', 'runs/recipe-files', 'runs/resumption', 'runs/run-names', 'runs/run-reader'],
    ...['runs/run-recipe', 'runs/series-start', 'runs/stage-results', 'runs/weights-argument'],
  ],
  tables: ['pages/*', 'tables/*'],
  tensorflow: [
    ...['network/overflow.tensorflow', 'parity/inference.tensorflow', 'parity/ties.tensorflow'],
    ...['parity/training.tensorflow', 'training/non-finite.tensorflow', 'training/step.tensorflow'],
  ],
  wasm: [
    ...['network/overflow.wasm', 'parity/inference.wasm', 'parity/training.wasm', 'runs/evaluate-best.wasm'],
    ...['runs/validation.wasm', 'training/best.wasm', 'training/non-finite.wasm'],
    ...['training/start.wasm', 'training/step.wasm', 'training/validation.wasm'],
  ],
  weights: ['weights/*'],
};

/** Files of these folders that have a process of their own. */
const ALONE = new Set([
  // ava keeps snapshots by process.
  ...['recipe/rows', 'tables/formats'],
  // It has a title of pytorch's.
  'weights/safetensors',
  // They measure the memory of the process.
  ...['support/block', 'weights/checkpoints', 'weights/fuzz', 'weights/memory'],
  // They run commands, which change the working folder and the environment.
  ...['pages/compare/compare', 'pages/compare/recipes', 'pages/report', 'training-logs/summary'],
  // Locks say which process has them, and pauses are counted in a process.
  ...['support/lock', 'support/pauses'],
]);

/** Groups of tests that start an engine: one each, as a process has one. */
const ON_ENGINES = new Set(['tensorflow', 'wasm']);

const SUFFIX = '.test.js';

/** Every test file of a folder and below, as GROUPS names them; none if nothing is built. */
function filesBelow(name) {
  const parent = path.join(compiled, name);
  if (!existsSync(parent)) return [];
  return readdirSync(parent, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(SUFFIX) && !file.endsWith(`.long${SUFFIX}`))
    .map((file) => [name, ...file.slice(0, -SUFFIX.length).split(path.sep)].join('/'))
    .sort();
}

function members(patterns) {
  return patterns.flatMap((pattern) =>
    pattern.endsWith('/*') ? filesBelow(pattern.slice(0, -2)).filter((file) => !ALONE.has(file)) : [pattern],
  );
}

const importOf = (file) => `import '../${file}${SUFFIX}';\n`;

/**
 * Writes a test file for each group, which imports those of the group.
 * @returns Patterns for ava that leave these files out.
 */
export function writeGroups() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const together = Object.entries(GROUPS).flatMap(([name, patterns]) => {
    const files = members(patterns);
    const all = files.map(importOf).join('');
    if (!ON_ENGINES.has(name)) {
      writeFileSync(path.join(folder, `${name}${SUFFIX}`), all);
    } else {
      // The engines' helper awaits something when it is imported, and ava wants all tests declared at once.
      writeFileSync(path.join(folder, `${name}.js`), all);
      const first = "await import('../helpers/engines.js');\n";
      writeFileSync(path.join(folder, `${name}${SUFFIX}`), `${first}await import('./${name}.js');\n`);
    }
    return files;
  });
  return together.map((file) => `!dist/test/${file}${SUFFIX}`);
}
