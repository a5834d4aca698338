import test from 'ava';
import type { Measurement, Night } from '../../src/nightly/history.js';
import { joinShards } from '../../src/nightly/history.js';
import { UserError } from '../../src/support/errors.js';
import { makeNight } from '../helpers/night.js';

const figure = (subject: string): Measurement => ({ quantity: 'mIoU', subject, hardware: 'Processor 9000', value: 10 });

test('parts of a night are joined: figures, problems, what was asked for and what was left out', (t) => {
  const joined = joinShards([
    { file: '1.jsonl', night: makeNight() },
    {
      file: '2.jsonl',
      night: makeNight({
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
  const join = (...nights: Night[]) => joinShards(nights.map((night, i) => ({ file: `${i}.jsonl`, night }))).asked.rows;
  t.is(join(makeNight(), all), null);
  t.deepEqual(join(makeNight(), none), ['row']);
});

test('figures of two commits and a figure that is there twice are refused', (t) => {
  const refused = (night: Night, message: RegExp, file = '2.jsonl') =>
    t.throws(
      () =>
        joinShards([
          { file: '1.jsonl', night: makeNight() },
          { file, night },
        ]),
      { instanceOf: UserError, message },
    );
  refused(makeNight({ commit: null }), /commit .* in 1\.jsonl, and null in 2\.jsonl/);
  refused(makeNight(), /mIoU of row is in 1\.jsonl and in 2\.jsonl/);
  refused(makeNight(), /mIoU of row is twice in 1\.jsonl/, '1.jsonl');
  t.throws(() => joinShards([]), { instanceOf: UserError });
});
