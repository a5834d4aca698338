import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {
  describeFile,
  type InstallManifest,
  inspectInstall,
  listManifests,
  manifestFile,
  refreshManifest,
  writeManifest,
} from '../../src/engines/tensorflow/manifest.js';
import { setEnvironment } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

async function fakeBuild(folder: string): Promise<InstallManifest> {
  await writeFile(path.join(folder, 'a.so'), 'library');
  const manifest: InstallManifest = {
    schema: 1,
    tensorflow: '9.9.9',
    variant: 'cpu',
    platform: 'linux-x64',
    tfjsNode: '4.22.0',
    source: { kind: 'package', folder: '/nowhere' },
    runtimeWheels: [],
    recipe: 'r',
    compiler: 'c',
    files: [await describeFile(folder, 'a.so')],
    installedAt: '2026-01-01T00:00:00.000Z',
  };
  await writeManifest(folder, manifest);
  return manifest;
}

async function recorded(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(manifestFile(folder, 'r'), 'utf8'));
}

test('a build with all files is complete; an empty folder is no build', async (t) => {
  const folder = await temporaryFolder(t);
  t.deepEqual(await inspectInstall(folder, 'r'), { kind: 'absent' });
  t.deepEqual(await inspectInstall(path.join(folder, 'missing'), 'r'), { kind: 'absent' });
  const manifest = await fakeBuild(folder);
  t.deepEqual(await inspectInstall(folder, 'r'), { kind: 'complete', manifest });
});

test('a file that is missing, truncated or has other bytes makes a build damaged', async (t) => {
  const folder = await temporaryFolder(t);
  const manifest = await fakeBuild(folder);
  const file = path.join(folder, 'a.so');

  await writeFile(file, 'Library');
  await utimes(file, 1, 1);
  t.like(await inspectInstall(folder, 'r'), {
    kind: 'damaged',
    reason: `${file} was changed since it was installed`,
  });
  t.is(await refreshManifest(folder, manifest), null, 'other bytes of the same length');
  t.deepEqual(await recorded(folder), manifest, 'what was installed stays recorded');

  await writeFile(file, 'lib');
  t.like(await inspectInstall(folder, 'r'), { kind: 'damaged', reason: `${file} has 3 bytes, 7 expected` });
  await rm(file);
  t.like(await inspectInstall(folder, 'r'), { kind: 'damaged', reason: `${file} is missing` });
});

test('a copy with rounded or other times is complete; its bytes are read once', async (t) => {
  const folder = await temporaryFolder(t);
  const manifest = await fakeBuild(folder);
  const file = path.join(folder, 'a.so');
  const whole = Math.floor(manifest.files[0]!.modified / 1000);
  // Whole seconds, the two seconds of zip archives, the epoch, the future.
  for (const seconds of [whole, whole - (whole % 2) + 2, 0, 4e9]) {
    await utimes(file, seconds, seconds);
    const files = [{ ...manifest.files[0]!, modified: seconds * 1000 }];
    t.deepEqual(await inspectInstall(folder, 'r'), { kind: 'complete', manifest: { ...manifest, files } });
    t.deepEqual(await recorded(folder), { ...manifest, files }, 'the new time is noted');
  }
  await writeFile(file, 'Library');
  await utimes(file, 4e9, 4e9);
  t.like(await inspectInstall(folder, 'r'), { kind: 'complete' }, 'of the time noted: it is not read');
  await utimes(file, 4e9, 4e9 + 1);
  t.like(await inspectInstall(folder, 'r'), { kind: 'damaged' });
});

withSmallDisk('a copy that cannot be written to is used as it is; its bytes are looked at once, too', async (t) => {
  const parent = await temporaryFolder(t);
  const temporary = path.join(parent, 'temporary');
  await mkdir(temporary);
  setEnvironment(t, { TMPDIR: temporary });
  const disk = await smallDisk(t, parent, '1m');
  const manifest = await fakeBuild(disk.folder);
  const file = path.join(disk.folder, 'a.so');
  await utimes(file, 1, 1);
  await disk.remount('ro');
  const files = [{ ...manifest.files[0]!, modified: 1000 }];
  t.deepEqual(await inspectInstall(disk.folder, 'r'), { kind: 'complete', manifest: { ...manifest, files } });
  t.deepEqual(await recorded(disk.folder), manifest);
  const [note] = await readdir(temporary);
  t.like(JSON.parse(await readFile(path.join(temporary, note!), 'utf8')), { files: [{ modified: 1000 }] });

  await disk.remount('rw');
  await writeFile(file, 'Library');
  await utimes(file, 1, 1);
  await disk.remount('ro');
  t.like(await inspectInstall(disk.folder, 'r'), { kind: 'complete' }, 'of the time noted: it is not read');
  await disk.remount('rw');
  await utimes(file, 2, 2);
  await disk.remount('ro');
  t.like(await inspectInstall(disk.folder, 'r'), { kind: 'damaged' });
});

test('a manifest that cannot be read makes a build damaged', async (t) => {
  const folder = await temporaryFolder(t);
  for (const text of ['{', 'null', '{"schema":2,"files":[]}']) {
    await writeFile(manifestFile(folder, 'r'), text);
    t.like(await inspectInstall(folder, 'r'), { kind: 'damaged', manifest: null });
  }
});

test('versions of this package share a build: each has a manifest of its own', async (t) => {
  const folder = await temporaryFolder(t);
  t.deepEqual(await listManifests(path.join(folder, 'missing')), []);
  const build = await fakeBuild(folder);
  await rm(manifestFile(folder, build.recipe));
  const manifests = ['a1', 'b2'].map((recipe) => ({ ...build, recipe }));
  for (const manifest of manifests) await writeManifest(folder, manifest);
  t.deepEqual(await listManifests(folder), manifests);
  for (const manifest of manifests) {
    t.deepEqual(await inspectInstall(folder, manifest.recipe), { kind: 'complete', manifest });
  }
  await writeFile(manifestFile(folder, 'a1'), '{');
  t.deepEqual(await listManifests(folder), [manifests[1]!], 'one that cannot be read vouches for nothing');
});
