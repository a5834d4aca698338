import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { bandAt, departures, follow } from '../../../src/pages/compare/band.js';
import type { CurvePoint } from '../../../src/pages/compare/input.js';
import { runInput, secondInput } from '../../../src/pages/compare/references.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { near } from '../../helpers/numeric.js';
import { catalogueOf, logLine, logLines, NO_PROCESS, writeRun, writeRunning } from '../../helpers/runs.js';

const ROW = 'camvid_r18-d8';

const points = (count: number, loss: (share: number, i: number) => number): CurvePoint[] =>
  Array.from({ length: count }, (_, i) => {
    const share = (i + 1) / count;
    return { iteration: 50 * (i + 1), share, loss: loss(share, i), learningRate: 0.01 };
  });
const falling = (share: number, i: number) => 2 - share + 0.05 * (i % 2 === 0 ? 1 : -1);

test('a band is the mean ± 3 deviations of the lines around; of too few lines there is none', (t) => {
  const band = bandAt(
    points(400, (_, i) => (i % 2 === 0 ? 1 : 2)),
    0.5,
  )!;
  near(t, band.middle, 1.5);
  // The deviation of a sample: 0.513 of the lines around the middle.
  near(t, band.high - band.middle, 3 * 0.5, 0.1);
  t.is(
    bandAt(
      points(14, () => 1),
      0.5,
    ),
    null,
  );
  // However constant: 2 %.
  near(
    t,
    bandAt(
      points(50, () => 1),
      0.5,
    )!.high,
    1.02,
  );
});

test('a curve like the reference never departs, of whatever length; one that breaks away does, where it does', (t) => {
  const reference = points(800, falling);
  t.deepEqual(departures(points(800, falling), reference), []);
  t.deepEqual(departures(points(200, falling), reference), []);
  t.deepEqual(
    departures(
      points(3, () => 99),
      reference,
    ),
    [],
  );
  const broken = points(800, (share, i) => falling(share, i) + (i >= 400 && i < 500 ? 1 : 0));
  const [departure, ...more] = departures(broken, reference);
  t.deepEqual(more, []);
  t.is(departure!.side, 'above');
  t.true(departure!.from > 50 * 395 && departure!.from <= 50 * 402);
  t.true(departure!.to >= 50 * 500 && departure!.to <= 50 * 504);
  t.true(departure!.worst.loss > departure!.worst.high);
});

test('following a run warns once where it leaves the band, and ends with it', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  const catalogue = catalogueOf(folders);
  const overrides = ['iterations=400'];
  const all = Array.from({ length: 400 }, (_, i) => logLine(i + 1, { loss: falling((i + 1) / 400, i) }));
  await writeRun(folders.runs, { row: ROW, overrides }, { run: 'reference' }, all);
  const { directory } = await writeRun(folders.runs, { row: ROW, overrides }, { run: 'follow' }, all.slice(0, 100));
  rmSync(path.join(directory, 'record.json'));
  await writeRunning(directory);
  const a = await runInput(directory, catalogue);
  const reference = await secondInput('reference', a, catalogue);
  const warnings: string[] = [];
  const said: string[] = [];
  const say = (line: string) => {
    said.push(line);
    // What training does meanwhile.
    if (said.length === 1) {
      const worse = Array.from({ length: 100 }, (_, i) => logLine(101 + i, { loss: 5 }));
      appendFileSync(path.join(directory, 'log.jsonl'), `${worse.join('\n')}\n`);
    } else {
      const status = { state: 'completed', stage: null, processId: process.pid, updatedAt: new Date().toISOString() };
      writeFileSync(path.join(directory, 'status.json'), JSON.stringify(status));
    }
  };
  const signal = new AbortController().signal;
  const warn = (line: string) => warnings.push(line);
  const {
    state,
    iteration,
    departures: found,
  } = await follow({ run: a, reference, milliseconds: 5, signal, say, warn });
  t.is(state, 'completed');
  t.is(iteration, 200);
  t.is(found.length, 1);
  t.is(warnings.length, 1);
  t.regex(warnings[0]!, /loss above the band/);
  t.deepEqual(
    said.map((line) => line.split(':')[0]),
    ['iteration 100/400', 'iteration 200/400'],
  );
  const none = await secondInput(undefined, a, catalogue);
  await t.throwsAsync(follow({ run: a, reference: none, milliseconds: 5, signal, say, warn }), {
    name: 'UserError',
    message: /too few to follow/,
  });
});

test('a run whose process is gone is not followed for ever', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  const catalogue = catalogueOf(folders);
  await writeRun(folders.runs, { row: ROW }, { run: 'whole' }, logLines(40));
  const { directory } = await writeRun(folders.runs, { row: ROW }, { run: 'killed' }, logLines(20));
  rmSync(path.join(directory, 'record.json'));
  await writeRunning(directory, NO_PROCESS);
  const run = await runInput(directory, catalogue);
  const reference = await secondInput(path.join(folders.runs, ROW, 'whole'), run, catalogue);
  const { signal } = new AbortController();
  const quiet = () => undefined;
  const { state, iteration } = await follow({ run, reference, milliseconds: 5, signal, say: quiet, warn: quiet });
  t.deepEqual([state, iteration], ['killed', 20]);
});
