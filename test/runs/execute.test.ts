import { existsSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { whyNotComparable } from '../../src/records/comparability.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';
import { workplace } from '../helpers/tiny-runs.js';

test.serial('images that a run has left out stay counted when it is resumed, with a limit or without', async (t) => {
  const { run, runs, train, val } = await workplace(t);
  // Headers stay, so that only reading all of it shows.
  truncateSync(train[0]!.image, 200);
  truncateSync(val[0]!.image, 200);
  const position = () => path.join(runs()[0]!, 'stages', 'evaluate.position.json');
  const begun = () => existsSync(position());
  await t.throwsAsync(run({ skipBad: 2 }, begun), { instanceOf: InterruptedError });
  t.regex(readFileSync(position(), 'utf8'), new RegExp(`"skippedImages": \\[\\s*"${val[0]!.name}"`));

  const { record, course } = await run();
  t.is(course, 'continued');
  t.like(record.details.evaluate, { images: 5, skippedImages: [val[0]!.name], splitImages: 6 });
  t.deepEqual(record.details.train?.skippedSamples, [train[0]!.name]);
  t.regex(whyNotComparable(record, loadTables())!, /1 validation image skipped/);

  truncateSync(val[1]!.image, 200);
  const error = await t.throwsAsync<UserError>(run({ resume: 'never' }), { instanceOf: UserError });
  t.regex(error!.next!, /Or leave up to N such samples out with --skip-bad N/, 'a new run has left none out');
});

test.serial('a run is resumed after its data set was repaired or lost files, and that is recorded', async (t) => {
  const { run, runs, said, train, val } = await workplace(t);
  await t.throwsAsync(
    run({}, () => true),
    { instanceOf: InterruptedError },
  );
  truncateSync(train[0]!.image, 200);
  rmSync(val[1]!.label);
  const refused = await t.throwsAsync<UserError>(run(), { instanceOf: UserError });
  t.true(refused!.message.includes(val[1]!.label), refused!.message);
  t.regex(refused!.next!, /--skip-bad N/);

  const { record, course } = await run({ skipBad: 2, resume: 'always' });
  t.is(course, 'continued');
  t.is(runs().length, 1);
  t.deepEqual(
    record.continued?.map(({ changed }) => changed),
    [['dataset']],
  );
  t.true(said.some((text) => /^Resuming run \S+\. Changed since its start: dataset; .* have other sizes/.test(text)));
  const found = said.find((text) => text.startsWith('1 file of 24 samples cannot be used: '));
  t.true(found?.includes(val[1]!.label), said.join('\n'));
  t.regex(found!, /They are left out \(--skip-bad 2\)\.$/);
  t.like(record.details.evaluate, { images: 5, skippedImages: [val[1]!.name], splitImages: 6 });

  rmSync(val[2]!.label);
  rmSync(val[2]!.image);
  const other = await t.throwsAsync<UserError>(run({ skipBad: 2, resume: 'always' }), { instanceOf: UserError });
  t.regex(other!.message, /differs from the requested run in: names of the images in the data set\.$/);
  t.is(runs().length, 1);
});
