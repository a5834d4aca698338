import { access, readFile, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../../src/support/errors.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { filesOf, setUp } from '../../helpers/prepared.js';
import { type RawDownloads, rawAde, rawCityscapes, rawContext, rawVoc, writeTar } from '../../helpers/raw-downloads.js';
import { zip } from '../../helpers/zip.js';

test('truncated archives are reported before anything is written', async (t) => {
  const cases: [() => Promise<RawDownloads>, string, RegExp][] = [
    [rawCityscapes, 'gtFine_trainvaltest.zip', /gtFine_trainvaltest\.zip: the zip archive is damaged: /],
    [rawVoc, 'VOCtrainval_11-May-2012.tar', /VOCtrainval_11-May-2012\.tar: the archive is damaged: Unexpected end/],
    [rawVoc, 'benchmark.tgz', /benchmark\.tgz: the archive is damaged: unexpected end of file/],
    [() => rawContext(false), 'trainval.tar.gz', /trainval\.tar\.gz: the archive is damaged: /],
  ];
  for (const [make, archive, message] of cases) {
    const set = await setUp(t, await make());
    const file = path.join(set.from, archive);
    await truncate(file, Math.floor((await stat(file)).size * 0.6) + 7);
    const error = await t.throwsAsync<UserError>(set.prepare(), { instanceOf: UserError, message });
    t.regex(error?.next ?? '', /etch it again/);
    await t.throwsAsync(access(set.folder));
  }
});

test('a tar archive that ends within a list is reported as damaged', async (t) => {
  const set = await setUp(t, await rawVoc());
  const file = path.join(set.from, 'VOCtrainval_11-May-2012.tar');
  // The first member is a list: its header, and five bytes.
  await truncate(file, 512 + 5);
  await t.throwsAsync(set.prepare(), {
    instanceOf: UserError,
    message: /VOCtrainval_11-May-2012\.tar: the archive is damaged: Unexpected end/,
  });
});

test('a changed byte in a zip archive is found', async (t) => {
  const set = await setUp(t, await rawCityscapes());
  const file = path.join(set.from, 'leftImg8bit_trainvaltest.zip');
  const bytes = await readFile(file);
  const name = 'leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png';
  const at = bytes.indexOf(name) + name.length + 30;
  bytes[at] = bytes[at]! ^ 0x55;
  await writeFile(file, bytes);
  await t.throwsAsync(set.prepare(), {
    instanceOf: UserError,
    message: /leftImg8bit_trainvaltest\.zip: leftImg8bit\/val\/ulm\/.*: the (zip )?archive is damaged/,
  });
});

/** A header of a tar archive, as GNU tar writes it. */
function tarHeader(name: string, type: string, bytes: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(bytes.toString(8).padStart(11, '0'), 124);
  header.write(`        ${type}`, 148);
  header.write('ustar  ', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** A name of this many bytes, as GNU tar writes it if it does not fit into a header. */
function longName(bytes: number): Buffer {
  return Buffer.concat([tarHeader('././@LongLink', 'L', bytes), Buffer.alloc(bytes, 'a')]);
}

/** An extended header that gives the next member a size. */
function sizeHeader(size: string): Buffer {
  const record = ` size=${size}\n`;
  const text = `${record.length + String(record.length + 2).length}${record}`;
  return Buffer.concat([tarHeader('pax', 'x', text.length), Buffer.concat([Buffer.from(text)], 512)]);
}

test('archives with paths that lead elsewhere, links or repeated files are refused, and write nothing', async (t) => {
  const image = 'ADEChallengeData2016/images/training/ADE_train_00000001.jpg';
  const file = Buffer.from('x');
  const cases: [string, () => Promise<void> | void, RegExp][] = [];
  const base = await temporaryFolder(t);
  const tar = path.join(base, 'ADEChallengeData2016.tar');
  const zipped = path.join(base, 'ADEChallengeData2016.zip');
  const asTar = (members: Parameters<typeof writeTar>[1]) => () => writeTar(tar, members);
  const asZip = (members: Parameters<typeof zip>[0]) => () => writeFile(zipped, zip(members));
  cases.push(
    [tar, asTar({ [`../../${image}`]: file }), /leads out of the archive/],
    [tar, asTar({ '/etc/images/training/a.jpg': file }), /leads out of the archive/],
    [tar, asTar({ [image]: { link: '/etc/passwd' } }), /is a link, a file was expected/],
    [
      tar,
      () => writeFile(tar, tarHeader(image, '0', 2 ** 29)),
      /claims 536870912 bytes; no image or label map is that large/,
    ],
    [tar, () => writeFile(tar, longName(64 * 2 ** 20)), /damaged: a header is too large/],
    [
      tar,
      () => writeFile(tar, Buffer.concat([tarHeader('a/', '5', 2 ** 32), longName(64 * 2 ** 20)])),
      /damaged: a header is too large/,
    ],
    [
      tar,
      () => writeFile(tar, Buffer.concat([sizeHeader('99999999999'), tarHeader('a/', '5', 0), longName(64 * 2 ** 20)])),
      /damaged: a header is too large/,
    ],
    ...['a', 'a/'].map((name, i): (typeof cases)[number] => [
      tar,
      () =>
        writeFile(tar, Buffer.concat([sizeHeader('x'), tarHeader(name, i === 0 ? '0' : '5', 0), Buffer.alloc(1024)])),
      /damaged: a member claims NaN bytes/,
    ]),
    [zipped, asZip(new Map([[`../${image}`, { content: file }]])), /leads out of the archive/],
    [zipped, asZip(new Map([['/images/training/a.jpg', { content: file }]])), /leads out of the archive/],
    [zipped, asZip(new Map([[image, { content: '/etc/passwd', mode: 0o120777 }]])), /is a link/],
    [
      zipped,
      asZip(
        new Map([
          [image, { content: file }],
          [`./${image}`, { content: file }],
        ]),
      ),
      /is there twice/,
    ],
  );
  const { prepare } = await setUp(t, await rawAde());
  for (const [archive, write, message] of cases) {
    await write();
    await t.throwsAsync(prepare({ from: [archive] }), { instanceOf: UserError, message });
    await unlink(archive);
  }
  t.deepEqual(await filesOf(base), []);
});
