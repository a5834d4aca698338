import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { pack } from 'tar-stream';
import { EngineUnavailableError } from '../../src/engines/engine.js';
import { installWebgpu } from '../../src/engines/webgpu/install.js';
import { inspectPackage, platformFolder, webgpuFolder } from '../../src/engines/webgpu/package.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';

/** A tarball like the package's, with an addon of this platform and of another one. */
async function tarball(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const tar = pack();
  const chunks: Buffer[] = [];
  tar.on('data', (chunk: Buffer) => chunks.push(chunk));
  tar.entry({ name: `package/dist/${platformFolder()}/dawn.node` }, 'an addon');
  tar.entry({ name: 'package/dist/another-platform/dawn.node' }, 'another addon');
  tar.entry({ name: 'package/LICENSE.md' }, 'a license');
  tar.entry({ name: 'package/index.js' }, 'throw new Error()');
  tar.finalize();
  await new Promise((resolve) => tar.on('end', resolve));
  const bytes = gzipSync(Buffer.concat(chunks));
  const from = path.join(folder, 'webgpu.tgz');
  await writeFile(from, bytes);
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  return { from, integrity, root: path.join(folder, 'cache') };
}

test('the files of this platform are unpacked once, and repaired if they are damaged', async (t) => {
  const options = await tarball(t);
  const { installed, folder, manifest } = await installWebgpu(options);
  t.true(installed);
  t.is(folder, webgpuFolder(options.root));
  t.deepEqual(
    manifest.files.map(({ name }) => name),
    ['LICENSE.md', 'dawn.node'],
  );
  const addon = path.join(folder, 'dawn.node');
  t.is(await readFile(addon, 'utf8'), 'an addon');
  t.false(existsSync(path.join(folder, 'download')));
  t.false((await installWebgpu(options)).installed);

  await appendFile(addon, ' and more');
  t.like(await inspectPackage(folder), { kind: 'damaged', reason: `${addon} has 17 bytes, 8 expected` });
  t.true((await installWebgpu(options)).installed);
  await writeFile(addon, 'no addon');
  t.is((await inspectPackage(folder)).kind, 'complete', 'only the size is looked at before each command');
  t.true((await installWebgpu(options)).installed, 'an installation looks at every byte');
});

test('another tarball, or none, is refused, and nothing counts as installed', async (t) => {
  const { from, root, integrity } = await tarball(t);
  const error = await t.throwsAsync(installWebgpu({ from, root }), { instanceOf: UserError });
  t.regex(error.message, /webgpu\.tgz is not webgpu 0\.6\.2: its integrity is sha512-/);
  t.like(await inspectPackage(webgpuFolder(root)), { kind: 'absent' });
  const missing = installWebgpu({ from: path.join(root, 'no.tgz'), root, integrity });
  await t.throwsAsync(missing, { instanceOf: UserError, message: /no\.tgz does not exist/ });
});

test('a platform without an addon is refused', (t) => {
  t.throws(() => platformFolder('sunos-x64'), { instanceOf: EngineUnavailableError, message: /nothing for sunos-x64/ });
  t.is(platformFolder('darwin-arm64'), 'darwin-universal');
});

test('a manifest that is none makes the installation a damaged one', async (t) => {
  const options = await tarball(t);
  const { folder } = await installWebgpu(options);
  await writeFile(path.join(folder, 'manifest.json'), '{');
  t.like(await inspectPackage(folder), { kind: 'damaged', folder });
});
