import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { loadBackbones } from '../../src/recipe/backbones.js';
import { selectRows } from '../../src/recipe/select.js';
import { mirrored } from '../../src/support/download.js';
import { fetchFile } from '../../src/weights/published.js';
import { backboneRequest, backboneRequests } from '../../src/weights/requests.js';
import { fileServer } from '../helpers/file-server.js';
import { temporaryFolder } from '../helpers/folder.js';
import { withShared } from '../helpers/shared.js';

test('every published row starts from a backbone that has a link', async (t) => {
  const names = (await loadBackbones()).map(({ name }) => name);
  t.is(names.length, 6);
  t.deepEqual(
    [...new Set(selectRows({ all: true }).map(({ recipe }) => recipe.model.pretrained!))].sort(),
    names.sort(),
  );
  const commands = (await backboneRequests()).map(({ command }) => command);
  t.deepEqual([...new Set(commands)], ['fcn weights fetch --backbones']);
  const ofLink = 'https://weights.test/own-01234567.pth';
  const own = backboneRequest({ name: ofLink, link: ofLink, bytes: null, alternatives: [] });
  t.is(own.command, null, 'a link of a recipe of your own is no published backbone');
});

const CONTENTS = ['first', 'second'].map((text) => Buffer.from(text.repeat(100)));
const HASHES = CONTENTS.map((content) => createHash('sha256').update(content).digest('hex'));
const [LINK, OTHER] = HASHES.map((hash) => `https://weights.test/resnet-${hash.slice(0, 8)}.pth`) as [string, string];

test('either file of a backbone is taken from the cache, the first one is fetched', async (t) => {
  const request = backboneRequest({ name: 'test://resnet', link: LINK, bytes: null, alternatives: [OTHER] });
  const server = await fileServer(t, CONTENTS[0]!);
  const cache = await temporaryFolder(t);
  const other = path.join(cache, 'pretrained', path.basename(OTHER));
  mkdirSync(path.dirname(other));
  writeFileSync(other, CONTENTS[1]!);
  const settings = { cache, fetcher: server.fetcher };
  t.like(await fetchFile(request, settings), { file: other, url: OTHER, sha256: HASHES[1], source: 'cache' });
  writeFileSync(other, 'damaged');
  const starts: unknown[] = [];
  server.cuts.push(50);
  const fetched = await fetchFile(request, { ...settings, onStart: (start) => starts.push(start) });
  t.like(fetched, { url: LINK, sha256: HASHES[0], source: 'download' });
  t.deepEqual(starts, [{ total: CONTENTS[0]!.length, host: 'weights.test' }], 'announced once');
  writeFileSync(other, CONTENTS[1]!);
  t.like(await fetchFile(request, { ...settings, from: other }), { url: OTHER, source: 'given file' });
  t.is(server.seen.length, 2);
});

test('a mirror replaces the host, and may have a path of its own', (t) => {
  const link = 'https://host.test/a/b.pth';
  t.is(mirrored(link, {}), link);
  t.is(mirrored(link, { FCN_MIRROR: 'https://mirror.test' }), 'https://mirror.test/a/b.pth');
  t.is(mirrored(link, { FCN_MIRROR: 'https://mirror.test:8443/x/' }), 'https://mirror.test:8443/x/a/b.pth');
  for (const FCN_MIRROR of ['http://mirror.test', 'mirror.test', 'https://']) {
    t.throws(() => mirrored(link, { FCN_MIRROR }), { message: /FCN_MIRROR is .*; expected an https address/ });
  }
});

withShared('facts', 'backbones.json')('the links are those of the facts', async (t, file) => {
  const { note: _, ...expected } = JSON.parse(readFileSync(file, 'utf8'));
  const found = (await loadBackbones()).map(({ name, link, alternatives: [alsoAccepted] }) => {
    return [name, { link, ...(alsoAccepted !== undefined && { alsoAccepted }) }];
  });
  t.deepEqual(Object.fromEntries(found), expected);
});
