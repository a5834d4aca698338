import path from 'node:path';
import test from 'ava';
import { parseLog, readLog } from '../../src/runs/log.js';
import { temporaryFolder } from '../helpers/folder.js';
import fc from '../helpers/properties.js';
import { logLine } from '../helpers/runs.js';

test('the lines of a log, whatever their number, and cut off anywhere in the last one', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(), (count, cut) => {
      const lines = Array.from({ length: count }, (_, i) => logLine(50 * (i + 1)));
      const whole = `${lines.join('\n')}\n`;
      t.deepEqual(
        parseLog(whole, 'log.jsonl').train.map(({ iteration }) => iteration),
        lines.map((_, i) => 50 * (i + 1)),
      );
      const last = lines.at(-1)!;
      const broken = whole.slice(0, whole.length - 1 - last.length + (cut % last.length));
      t.is(parseLog(broken, 'log.jsonl').train.length, count - 1);
    }),
    { numRuns: 60 },
  );
});

test('of a training that went back, the later lines count; a value that was not finite is NaN', (t) => {
  const text = [logLine(10), logLine(20), logLine(30), logLine(20, { loss: null }), '{"event":"resumed"}'].join('\n');
  const { train: lines } = parseLog(text, 'log.jsonl');
  t.deepEqual(
    lines.map(({ iteration }) => iteration),
    [10, 20],
  );
  t.true(Number.isNaN(lines[1]!.loss));
});

test('evaluations during training have lines of their own; if a training went back, the later lines count', (t) => {
  const val = (iteration: number, mIoU: number) =>
    JSON.stringify({ mode: 'val', iteration, mIoU, mAcc: 0.5, aAcc: 0.9 });
  const text = [logLine(10), val(10, 0.1), logLine(20), val(20, 0.2), logLine(30), logLine(20), val(20, 0.3)].join(
    '\n',
  );
  const { train, validation } = parseLog(text, 'log.jsonl');
  t.deepEqual(
    train.map(({ iteration }) => iteration),
    [10, 20],
  );
  t.deepEqual(validation, [
    { mode: 'val', iteration: 10, mIoU: 0.1, mAcc: 0.5, aAcc: 0.9 },
    { mode: 'val', iteration: 20, mIoU: 0.3, mAcc: 0.5, aAcc: 0.9 },
  ]);
});

test('a damaged line in the middle is named with its file and line', (t) => {
  for (const damage of ['{"iteration":', '[1]', '7']) {
    t.throws(() => parseLog([logLine(1), damage, logLine(2)].join('\n'), 'run/log.jsonl'), {
      name: 'UserError',
      message: /^run\/log\.jsonl:2 is not a line of a training log/,
    });
  }
  t.throws(() => parseLog(logLine(0), 'l'), { message: /iteration 0 is not a positive whole number/ });
});

test('a run that has logged nothing yet has an empty log', async (t) => {
  t.deepEqual(readLog(path.join(await temporaryFolder(t), 'log.jsonl')), { train: [], validation: [] });
});
