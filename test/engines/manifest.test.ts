import { rm, utimes, writeFile } from 'node:fs/promises';
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
import { temporaryFolder } from '../helpers/folder.js';

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

test('a whole build is complete, an empty folder is none', async (t) => {
  const folder = await temporaryFolder(t);
  t.deepEqual(await inspectInstall(folder, 'r'), { kind: 'absent' });
  t.deepEqual(await inspectInstall(path.join(folder, 'missing'), 'r'), { kind: 'absent' });
  const manifest = await fakeBuild(folder);
  t.deepEqual(await inspectInstall(folder, 'r'), { kind: 'complete', manifest });
});

test('a file that is missing, cut off or touched makes a build damaged', async (t) => {
  const folder = await temporaryFolder(t);
  const manifest = await fakeBuild(folder);
  const file = path.join(folder, 'a.so');

  await utimes(file, 1, 1);
  const touched = await inspectInstall(folder, 'r');
  t.like(touched, { kind: 'damaged', reason: `${file} was changed since it was installed` });
  const refreshed = await refreshManifest(folder, manifest);
  t.is(refreshed?.files[0]?.modified, 1000, 'the same bytes: only the time is brought up to date');

  await writeFile(file, 'Library');
  t.is(await refreshManifest(folder, manifest), null, 'other bytes of the same length');

  await writeFile(file, 'lib');
  t.like(await inspectInstall(folder, 'r'), { kind: 'damaged', reason: `${file} has 3 bytes, 7 expected` });
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
