import test from 'ava';
import { explainError } from '../../src/cli/base.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';

test("a user's mistake has no stack and code 2", (t) => {
  t.deepEqual(explainError(new UserError('Wrong.', 'Mend it.')), { message: 'Wrong.', next: 'Mend it.', code: 2 });
});

test('an interruption has code 130', (t) => {
  t.deepEqual(explainError(new InterruptedError('Stopped.')), { message: 'Stopped.', next: null, code: 130 });
});

test('anything else is a bug: its stack and code 1', (t) => {
  const report = explainError(new TypeError('x is not a function'));
  t.is(report.code, 1);
  t.regex(report.stack ?? '', /TypeError: x is not a function\n +at /);
  t.is(explainError('a string').code, 1);
});

test("oclif's messages become one line, with the nearest flag", (t) => {
  const error = Object.assign(new Error('Nonexistent flag: --sed\nSee more help with --help'), {
    oclif: { exit: 2 },
    flags: ['--sed'],
  });
  t.deepEqual(explainError(error, { flags: ['seed', 'set'], command: 'engines:install' }), {
    message: 'Nonexistent flag: --sed.',
    next: 'Did you mean --seed? See fcn engines install --help.',
    code: 2,
  });
});

test('a flag that needs another one gives one short sentence', (t) => {
  const text =
    'The following error occurred:\n  All of the following must be provided when using --label-ids: --predictions, --out\nSee more help with --help';
  const { message } = explainError(Object.assign(new Error(text), { oclif: { exit: 2 } }));
  t.is(message, '--label-ids also needs --predictions and --out.');
});

test("oclif's colours, which it adds in a terminal, are not shown as escapes", (t) => {
  const text =
    'The following error occurred:\n  \u001b[2mMissing required flag out\u001b[22m\nSee more help with --help';
  const { message } = explainError(Object.assign(new Error(text), { oclif: { exit: 2 } }));
  t.is(message, 'Missing required flag out.');
});
