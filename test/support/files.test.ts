import { existsSync } from 'node:fs';
import { readdir, readFile, stat, symlink } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { explainFileError, makeFolder, writeFileAtomic } from '../../src/support/files.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

test('a folder is created with its parents, and may exist already', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'a', 'b', 'c');
  await makeFolder(folder);
  await makeFolder(folder);
  t.true((await stat(folder)).isDirectory());
});

test('a file in the way of a folder is refused', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, { taken: 'text' });
  const expected = {
    instanceOf: UserError,
    message: /taken.*: a part of this path is a file, a folder was expected\.$/,
  };
  await t.throwsAsync(makeFolder(path.join(folder, 'taken')), expected);
  await t.throwsAsync(makeFolder(path.join(folder, 'taken', 'below')), expected);
});

test('a name that is too long and links in a circle are refused', async (t) => {
  const folder = await temporaryFolder(t);
  await t.throwsAsync(makeFolder(path.join(folder, 'a'.repeat(300))), {
    instanceOf: UserError,
    message: /of this length/,
  });
  await symlink('circle', path.join(folder, 'circle'));
  const below = path.join(folder, 'circle', 'below');
  await t.throwsAsync(writeFileAtomic(below, ''), { instanceOf: UserError, message: /lead in a circle/ });
});

const withProc = existsSync('/proc/self') ? test : test.skip;

withProc('a folder that takes no entries is refused, not tried for ever', async (t) => {
  await t.throwsAsync(makeFolder('/proc/fcn-test/below'), {
    instanceOf: UserError,
    message: '/proc/fcn-test/below cannot be created.',
  });
});

test('a file is written completely, with its folder, and no other file is left', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'new');
  const file = path.join(folder, 'text.txt');
  await writeFileAtomic(file, [Buffer.from('one '), Buffer.from('two')]);
  t.is(await readFile(file, 'utf8'), 'one two');
  t.deepEqual(await readdir(folder), ['text.txt']);
});

test('content that fails leaves the old file unchanged', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'text.txt');
  await writeFileAtomic(file, 'old');
  function* broken() {
    yield Buffer.from('new');
    throw new Error('no more');
  }
  await t.throwsAsync(writeFileAtomic(file, broken()), { message: 'no more' });
  t.is(await readFile(file, 'utf8'), 'old');
  t.deepEqual(await readdir(folder), ['text.txt']);
});

test('a full disk and a missing permission are mistakes that the user can fix', (t) => {
  const explain = (code: string) => explainFileError(Object.assign(new Error(code), { code }), 'out/file', 'write');
  const full = explain('ENOSPC');
  t.true(full instanceof UserError);
  t.is((full as UserError).message, 'Disk full while writing out/file.');
  t.regex((explain('EROFS') as UserError).message, /No permission to write out\/file/);
  const other = new Error('bug');
  t.is(explainFileError(other, 'out/file', 'write'), other);
});
