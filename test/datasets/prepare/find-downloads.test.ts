import { access, copyFile, readdir, readFile, rename, truncate, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { UserError } from '../../../src/support/errors.js';
import { assertPrepared, setUp } from '../../helpers/prepared.js';
import {
  type RawDownloads,
  rawAde,
  rawCamvid,
  rawCityscapes,
  rawContext,
  rawVoc,
} from '../../helpers/raw-downloads.js';
import { zip } from '../../helpers/zip.js';

const VOC_2010 = 'VOCtrainval_03-May-2010.tar';
const VOC_2012 = 'VOCtrainval_11-May-2012.tar';

test('archives are found by their content, whatever their names and compression', async (t) => {
  /** Names that say nothing, or are misleading. */
  const cases: [() => Promise<RawDownloads>, Readonly<Record<string, string>>][] = [
    [rawCityscapes, { 'leftImg8bit_trainvaltest.zip': 'download', 'gtFine_trainvaltest.zip': 'leftImg8bit.tar' }],
    [rawVoc, { [VOC_2012]: 'benchmark.tar', 'benchmark.tgz': 'VOCtrainval-2012.zip' }],
    [() => rawContext(false), { 'VOCtrainval_03-May-2010.tar': 'a.bin', 'trainval.tar.gz': 'trainval.zip' }],
    [() => rawContext(true), { 'trainval_merged.json': 'trainval.tar.gz' }],
    [() => rawAde(), { 'ADEChallengeData2016.zip': 'scenes (3).zip.part' }],
    [rawCamvid, { 'camvid.zip': 'x' }],
  ];
  for (const [make, names] of cases) {
    const set = await setUp(t, await make());
    for (const [name, other] of Object.entries(names)) {
      await rename(path.join(set.from, name), path.join(set.from, `moved ${other}`));
    }
    for (const other of Object.values(names)) {
      await rename(path.join(set.from, `moved ${other}`), path.join(set.from, other));
    }
    await set.prepare();
    await assertPrepared(t, set);
    // Each named by itself, in any order.
    const files = (await readdir(set.from)).filter((file) => file !== 'synthetic.json');
    const named = files.reverse().map((file) => path.join(set.from, file));
    t.is((await set.prepare({ from: named })).made, 0);
  }
});

test('among similar archives, the one with the data set is used; one with the published name comes first', async (t) => {
  const raw = await rawCityscapes();
  const set = await setUp(t, raw);
  const extra = { 'leftImg8bit/train_extra/x/x_000000_000000_leftImg8bit.png': Buffer.from('x') };
  const packed = (members: object) =>
    zip(new Map(Object.entries(members).map(([member, content]) => [member, { content: content as Buffer }])));
  await writeFile(path.join(set.from, 'leftImg8bit_trainextra.zip'), packed(extra));
  await writeFile(path.join(set.from, 'copy.zip'), packed(raw.archives['leftImg8bit_trainvaltest.zip']!));
  await writeFile(path.join(set.from, 'notes.tar.gz'), 'no archive');
  const { inputs } = await set.prepare();
  t.deepEqual(
    inputs.map(({ name }) => name),
    ['leftImg8bit_trainvaltest.zip', 'gtFine_trainvaltest.zip'],
  );
  await assertPrepared(t, set);
});

test('one archive may hold several parts, and a packed JSON file is read', async (t) => {
  const cityscapes = await rawCityscapes();
  const all = Object.assign({}, ...Object.values(cityscapes.archives)) as Record<string, Uint8Array>;
  const one = await setUp(t, { ...cityscapes, archives: { 'everything.tgz': all } });
  t.deepEqual(
    (await one.prepare()).inputs.map(({ name }) => name),
    ['everything.tgz', 'everything.tgz'],
  );
  await assertPrepared(t, one);
  const context = await setUp(t, await rawContext(true));
  const json = path.join(context.from, 'trainval_merged.json');
  await writeFile(path.join(context.from, 'context.json.gz'), gzipSync(await readFile(json)));
  await unlink(json);
  await context.prepare();
  await assertPrepared(t, context);
});

test('the merged JSON file is read from an archive, and preferred to label maps', async (t) => {
  const merged = await rawContext(true);
  const maps = (await rawContext(false)).archives['trainval.tar.gz']!;
  const json = Buffer.from(merged.archives['trainval_merged.json']!['']!);
  const decoys = { 'a/instances.json': '{"images": [{"id": 1}]}', 'a/._list.json': '}}', 'a/notes.txt': 'no JSON' };
  const images = { [VOC_2010]: merged.archives[VOC_2010]! };
  const archives: Record<string, Record<string, Uint8Array | string>> = {
    'annotations.zip': { ...decoys, 'a/merged.json': json },
    'trainval_merged.tar': { ...decoys, 'trainval_merged.json': json },
    'labels.tar.gz': { ...decoys, 'packed.JSON.gz': gzipSync(json) },
  };
  for (const [name, members] of Object.entries(archives)) {
    const set = await setUp(t, { ...merged, archives: { ...images, [name]: members, 'trainval.tar.gz': maps } });
    t.deepEqual(
      (await set.prepare()).inputs.map((input) => input.name),
      [VOC_2010, name],
    );
    await assertPrepared(t, set);
  }
  const torn = { ...images, 'torn.zip': { 'merged.json': json.subarray(0, -9) } };
  await t.throwsAsync((await setUp(t, { ...merged, archives: torn })).prepare(), {
    instanceOf: UserError,
    message: /torn\.zip: its member merged\.json is damaged: it ends early\.$/,
  });
  const bare = await setUp(t, { ...merged, archives: { ...images, 'trainval_merged.zip': decoys } });
  await t.throwsAsync(bare.prepare(), {
    instanceOf: UserError,
    message: /trainval_merged\.zip holds no merged annotations of Pascal Context\.$/,
  });
});

test('images in one archive and labels in another are one download', async (t) => {
  const raw = await rawCamvid();
  const members = Object.entries(raw.archives['camvid.zip']!);
  const half = (folder: string) => Object.fromEntries(members.filter(([member]) => member.includes(`${folder}/`)));
  const archives = { 'pictures.zip': half('images'), 'camvid labels.tgz': half('annotations') };
  const set = await setUp(t, { ...raw, archives });
  const { inputs } = await set.prepare();
  t.deepEqual(
    inputs.map(({ name, hashed }) => [name, hashed]),
    [
      ['pictures.zip', 'bytes'],
      ['camvid labels.tgz', 'bytes'],
    ],
  );
  await assertPrepared(t, set);
  t.is((await set.prepare()).made, 0);
  // Nothing says which of two archives of labels is meant.
  const other = await setUp(t, { ...raw, archives: { ...archives, 'more.zip': half('annotations') } });
  await t.throwsAsync(other.prepare(), { instanceOf: UserError });
});

test('a file with the name of a download that is something else is reported as what it is', async (t) => {
  const cases: [string | Uint8Array, RegExp][] = [
    ['', /is empty\.$/],
    [' \n<!DOCTYPE html><title>Sign in</title>', /is a web page, not the download\.$/],
    ['version https://git-lfs.github.com/spec/v1\n', /is a Git LFS pointer, not the file itself\.$/],
    [Buffer.alloc(2000), /begins with zeros, like a download that was not finished\.$/],
    [Buffer.from('\xfd7zXZ\0 and so on', 'latin1'), /is compressed with xz, which is not read\.$/],
    [Buffer.from('BZh91AY', 'latin1'), /is compressed with bzip2, which is not read\.$/],
    ['{"error": "quota"}', /is a JSON text, not an archive\.$/],
  ];
  const camvid = await setUp(t, { ...(await rawCamvid()), archives: {} });
  const archive = path.join(camvid.from, 'camvid.zip');
  for (const [content, message] of cases) {
    await writeFile(archive, content);
    await t.throwsAsync(camvid.prepare(), { instanceOf: UserError, message });
  }
  const context = await setUp(t, await rawContext(true));
  await writeFile(path.join(context.from, 'trainval_merged.json'), '<html>');
  await t.throwsAsync(context.prepare(), { message: /trainval_merged\.json is a web page, not the download\.$/ });
});

test('the report of a missing download names archives that cannot be read', async (t) => {
  const set = await setUp(t, await rawAde());
  const file = path.join(set.from, 'ADEChallengeData2016.zip');
  await rename(file, path.join(set.from, 'a.zip'));
  const packed = path.join(set.from, 'ade.tar.xz');
  await writeFile(packed, Buffer.from('\xfd7zXZ\0 and so on', 'latin1'));
  await t.throwsAsync(set.prepare({ from: [packed] }), {
    instanceOf: UserError,
    message: /neither packed nor unpacked in .*\. \/.*ade\.tar\.xz is compressed with xz, which is not read\.$/,
  });
  const page = path.join(set.from, 'ade.zip.html');
  await writeFile(page, '<html>');
  await t.throwsAsync(set.prepare({ from: [page] }), {
    message: /ade\.zip\.html is a web page, not the download\.$/,
  });
  const torn = path.join(set.from, 'a.zip');
  await truncate(torn, 100);
  await t.throwsAsync(set.prepare({ from: [torn] }), {
    instanceOf: UserError,
    message: /neither packed nor unpacked in .*a\.zip: the zip archive is damaged/,
  });
  await t.throwsAsync(access(set.folder));
});

test('downloads that are ambiguous, missing or unknown are named', async (t) => {
  const { from, prepare } = await setUp(t, await rawAde());
  const copy = path.join(from, 'ADEChallengeData2016 (1).zip');
  await copyFile(path.join(from, 'ADEChallengeData2016.zip'), copy);
  await t.throwsAsync(prepare(), { message: /Two files could be ADEChallengeData2016\.zip: .* and .*/ });
  await writeFile(copy, '');
  t.is((await prepare()).images['train'], 2);
  const absent = path.join(from, 'absent');
  await t.throwsAsync(prepare({ from: [absent] }), { message: new RegExp(`${absent} does not exist`) });
  await t.throwsAsync(prepare({ dataset: 'kitti' }), { message: /No preparation is known for "kitti"/ });
});
