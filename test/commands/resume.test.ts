import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { type CommandResult, fcn, fcnProcess, type RunningCommand } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const TINY = ['--profile', 'smoke', '--engine', 'wasm', '--set', 'width=4', '--set', 'training.batch=2'];
const LONG = ['train', ROW, ...TINY, '--set', 'iterations=100000', '--set', 'logEvery=1'];

const runsOf = (cwd: string) => {
  const folder = path.join(cwd, 'runs', ROW);
  return existsSync(folder) ? readdirSync(folder).sort() : [];
};

function logOf(cwd: string, run: string): string[] {
  const file = path.join(cwd, 'runs', ROW, run, 'log.jsonl');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

/** The complete checkpoints of a run. */
function checkpointsOf(cwd: string, run: string): string[] {
  const folder = path.join(cwd, 'runs', ROW, run, 'checkpoints');
  return readdirSync(folder).filter((name) => /^iteration-\d+\.json$/.test(name));
}

/** Runs a command, and does something once it has logged some lines. */
function onceUnderWay(
  parameters: readonly string[],
  cwd: string,
  then: (child: RunningCommand) => void | Promise<void>,
  run: typeof fcn = fcnProcess,
): Promise<CommandResult> {
  const lines = () => runsOf(cwd).reduce((sum, run) => sum + logOf(cwd, run).length, 0);
  const before = lines();
  return run(parameters, {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && lines() < before + 2) await sleep(20);
      if (child.exitCode === null) await then(child);
    },
  });
}

test.serial(
  'a run ends at a signal or its time limit, its command resumes it, and only one process writes it',
  async (t) => {
    const cwd = await cityscapesFolder(t);
    const terminated = await onceUnderWay(LONG, cwd, (child) => void child.kill('SIGTERM'));
    t.is(terminated.code, 143, terminated.stderr);
    t.regex(terminated.stderr, /^next: The same command resumes it from its state in .*\.$/m);
    const [run = ''] = runsOf(cwd);
    const saved = logOf(cwd, run).length;
    t.true(terminated.stderr.includes(`error: Interrupted after iteration ${saved} of 100000.\n`), terminated.stderr);
    const json = (name: string): unknown => JSON.parse(readFileSync(path.join(cwd, 'runs', ROW, run, name), 'utf8'));
    t.like(json('status.json'), { state: 'interrupted', stage: 'train' });
    t.like(json('record.json'), { exitReason: 'interrupted' });
    t.deepEqual(checkpointsOf(cwd, run), [`iteration-${saved}.json`]);
    t.deepEqual(readdirSync(path.join(cwd, 'results', 'records')), [], 'only completed runs are kept');

    let second: CommandResult | null = null;
    const interrupted = await onceUnderWay([...LONG, '--resume'], cwd, async (child) => {
      const before = checkpointsOf(cwd, run);
      child.kill('SIGUSR1');
      const newer = () => checkpointsOf(cwd, run).some((name) => !before.includes(name));
      while (child.exitCode === null && !newer()) await sleep(20);
      t.is(child.exitCode, null, 'it saves and goes on');
      second = await fcn(LONG, { cwd });
      child.kill('SIGINT');
    });
    t.is(interrupted.code, 130, interrupted.stderr);
    t.regex(interrupted.stderr, new RegExp(`^Resuming run ${run}\\.$`, 'm'));
    t.regex(interrupted.stderr, new RegExp(`^Training resumes after iteration ${saved} of 100000\\.$`, 'm'));
    t.regex(interrupted.stderr, /^Saving at the next safe point\.$/m);
    t.is(second!.code, 75, second!.stderr);
    t.regex(second!.stderr, new RegExp(`^error: .*${run} is in use by process \\d+ on .*\\.\nnext: Wait`, 'm'));
    t.deepEqual(runsOf(cwd), [run]);
    const iterations = logOf(cwd, run).map((line) => (JSON.parse(line) as { iteration: number }).iteration);
    t.deepEqual(
      iterations,
      iterations.map((_, i) => i + 1),
      'no iteration twice, none left out',
    );

    const fresh = await onceUnderWay([...LONG, '--fresh'], cwd, (child) => void child.kill('SIGINT'), fcn);
    t.is(fresh.code, 130, fresh.stderr);
    t.is(runsOf(cwd).length, 2, 'another run');
    const [other = ''] = runsOf(cwd).filter((one) => one !== run);
    const further = `The same command with --resume-run ${other} in place of --fresh resumes it from its state in `;
    t.true(fresh.stderr.includes(further), fresh.stderr);

    const limited = await fcn([...LONG, '--resume-run', path.join('runs', ROW, other), '--time-limit', '100ms'], {
      cwd,
    });
    t.is(limited.code, 75, limited.stderr);
    t.regex(limited.stderr, /^The time limit of 100ms is over/m);
    t.is(runsOf(cwd).length, 2, 'no other run');

    const changed = await fcn([...LONG, '--resume-run', `${ROW}/${run}`, '--seed', '3'], { cwd });
    t.is(changed.code, 2);
    t.regex(changed.stderr, /^error: Run .* differs from the requested run in: recipe\.$/m);
  },
);

test.serial('an interrupted series does not repeat completed runs; a completed run is only shown', async (t) => {
  const cwd = await cityscapesFolder(t);
  const short = ['reproduce', ROW, ...TINY, '--set', 'iterations=2', '--stage', 'train'];
  const series = [...short, '--repeat', '2'];
  const isCompleted = (run: string) => {
    const status = path.join(cwd, 'runs', ROW, run, 'status.json');
    return existsSync(status) && readFileSync(status, 'utf8').includes('"completed"');
  };
  const interrupted = await fcnProcess(series, {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && !runsOf(cwd).some(isCompleted)) await sleep(5);
      child.kill('SIGKILL');
    },
  });
  t.is(interrupted.code, null);
  const [first = '', ...others] = runsOf(cwd).filter(isCompleted);
  t.deepEqual(others, []);
  // The next one may have started.
  const second = runsOf(cwd).filter((run) => run !== first);

  const again = await fcn(series, { cwd });
  t.is(again.code, 0, again.stderr);
  t.regex(again.stderr, new RegExp(`Run ${first} is already complete: nothing to do\\.`));
  t.regex(again.stdout, /^2 runs: 2 completed\./m);
  t.true(second.every((run) => runsOf(cwd).includes(run)) && runsOf(cwd).length <= 3);
  t.deepEqual(readdirSync(path.join(cwd, 'runs')), [ROW], 'nothing is left of the series');

  const shown = await fcn([...short, '--resume'], { cwd });
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stderr, new RegExp(`Run ${first} is already complete`));
  const count = runsOf(cwd).length;
  t.is((await fcn(short, { cwd })).code, 0);
  t.is(runsOf(cwd).length, count + 1, 'a completed run repeated is another one');
});
