import test from 'ava';
import type { Measurement } from '../../src/nightly/history.js';
import { joinShards } from '../../src/nightly/history.js';
import { UserError } from '../../src/support/errors.js';
import { makeNight } from '../helpers/night.js';

const figure = (subject: string): Measurement => ({ quantity: 'mIoU', subject, hardware: 'Processor 9000', value: 10 });

test('parts of a night are joined: figures, problems, what was asked for and what was left out', (t) => {
  const joined = joinShards([
    { file: '1.jsonl', entry: makeNight() },
    {
      file: '2.jsonl',
      entry: makeNight({
        measurements: [figure('other')],
        problems: ['third: The loss is not finite.'],
        asked: { parts: ['smoke', 'camvid'], rows: ['other', 'third'] },
        leftOut: [{ part: 'camvid', reason: 'not there' }],
      }),
    },
  ]);
  t.deepEqual(
    joined.measurements.map(({ subject }) => subject),
    ['row', 'other'],
  );
  t.deepEqual(joined.problems, ['third: The loss is not finite.']);
  t.deepEqual(joined.asked, { parts: ['smoke', 'camvid'], rows: ['row', 'other', 'third'] });
  t.deepEqual(joined.leftOut, [{ part: 'camvid', reason: 'not there' }]);
});

test('a shard of every row asks for every row; one without smoke runs asks for none', (t) => {
  const all = makeNight({ measurements: [figure('other')], asked: { parts: ['smoke'], rows: null } });
  const none = makeNight({ measurements: [], asked: { parts: ['parity'], rows: null } });
  const join = (...entries: ReturnType<typeof makeNight>[]) =>
    joinShards(entries.map((entry, i) => ({ file: `${i}.jsonl`, entry }))).asked.rows;
  t.is(join(makeNight(), all), null);
  t.deepEqual(join(makeNight(), none), ['row']);
});

test('figures of two commits, a figure that is there twice, and a part that does not say what it is are refused', (t) => {
  const refused = (entry: ReturnType<typeof makeNight>, message: RegExp, file = '2.jsonl') =>
    t.throws(
      () =>
        joinShards([
          { file: '1.jsonl', entry: makeNight() },
          { file, entry },
        ]),
      { instanceOf: UserError, message },
    );
  refused(makeNight({ commit: null }), /commit .* in 1\.jsonl, and null in 2\.jsonl/);
  refused(makeNight(), /mIoU of row is in 1\.jsonl and in 2\.jsonl/);
  refused(makeNight(), /mIoU of row is twice in 1\.jsonl/, '1.jsonl');
  const { asked: _, ...old } = makeNight({ measurements: [figure('other')] });
  refused(old as ReturnType<typeof makeNight>, /2\.jsonl does not say what was to be measured/);
  t.throws(() => joinShards([]), { instanceOf: UserError });
});
