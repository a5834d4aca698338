import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { codeVersion, headCommit } from '../../src/records/environment.js';
import { temporaryFolder } from '../helpers/folder.js';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

function write(folder: string, name: string, text: string): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

test('the commit of a branch, loose and packed', async (t) => {
  const checkout = await temporaryFolder(t);
  write(checkout, '.git/HEAD', 'ref: refs/heads/main\n');
  t.is(headCommit(checkout), null, 'a branch without a commit');
  write(
    checkout,
    '.git/packed-refs',
    `# pack-refs with: peeled\n${'f'.repeat(40)} refs/heads/other\n${COMMIT} refs/heads/main\n`,
  );
  t.is(headCommit(checkout), COMMIT);
  write(checkout, '.git/refs/heads/main', `${'a'.repeat(40)}\n`);
  t.is(headCommit(checkout), 'a'.repeat(40), 'a loose one is newer');
});

test('the commit of a detached head', async (t) => {
  const checkout = await temporaryFolder(t);
  write(checkout, '.git/HEAD', `${COMMIT}\n`);
  t.is(headCommit(checkout), COMMIT);
});

test('the commit of a worktree', async (t) => {
  const folder = await temporaryFolder(t);
  write(folder, 'tree/.git', 'gitdir: ../main/.git/worktrees/tree\n');
  write(folder, 'main/.git/worktrees/tree/HEAD', 'ref: refs/heads/topic\n');
  write(folder, 'main/.git/worktrees/tree/commondir', '../..\n');
  write(folder, 'main/.git/refs/heads/topic', `${COMMIT}\n`);
  t.is(headCommit(path.join(folder, 'tree')), COMMIT);
});

test('no commit outside a checkout', async (t) => {
  t.is(headCommit(await temporaryFolder(t)), null);
});

test("the version is the package's", async (t) => {
  t.regex(codeVersion().version, /^\d+\.\d+\.\d+/);
});
