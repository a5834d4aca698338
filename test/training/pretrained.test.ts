import path from 'node:path';
import test from 'ava';
import type { UserError } from '../../src/support/errors.js';
import { backboneState } from '../../src/training/pretrained.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

test.serial('a published backbone is found in the cache by its name, a file by its path', async (t) => {
  const cache = await temporaryFolder(t);
  const previous = process.env['FCN_CACHE_DIR'];
  process.env['FCN_CACHE_DIR'] = cache;
  t.teardown(() => {
    if (previous === undefined) delete process.env['FCN_CACHE_DIR'];
    else process.env['FCN_CACHE_DIR'] = previous;
  });
  const missing = async (pretrained: string, offline = false): Promise<UserError> => {
    const found = await backboneState(pretrained, { offline });
    if (found.state !== 'missing') throw new Error(found.state);
    return found.error;
  };
  const resnet18 = 'open-mmlab://resnet18_v1c';
  const link = 'https://download.openmmlab.com/pretrain/third_party/resnet18_v1c-b5776b93.pth';
  const fetchable = { state: 'fetchable', bytes: null } as const;
  const found = await backboneState(resnet18);
  t.like(found, fetchable);
  t.is(found.state === 'fetchable' ? found.request.files[0].url : null, link);
  t.regex((await missing(resnet18, true)).message, /resnet18_v1c-b5776b93\.pth.* is not in the cache/);
  const unknown = await missing('other://resnet34');
  t.true(unknown.message.includes(path.join(cache, 'pretrained', 'resnet34.pth')));
  t.regex(unknown.next!, /--set pretrained=null/);
  t.regex((await missing(path.join(cache, 'none.pth'))).message, /none\.pth is not there/);
  t.regex((await missing('https://weights.test/file.pth')).message, /is no link to a file that could be checked/);

  // The SHA-256 of no bytes.
  const empty = 'mine-e3b0c442.pth';
  await writeFiles(cache, {
    'weights/resnet18_v1c-b5776b93.pth': 'damaged',
    [`pretrained/${empty}`]: '',
    'own.pth': '',
  });
  const present = (isOwn: boolean, ...names: string[]) =>
    ({ state: 'present', file: path.join(cache, ...names), isOwn }) as const;
  t.like(await backboneState(resnet18), fetchable, 'a damaged file is fetched again');
  const damaged = await missing(resnet18, true);
  t.regex(
    damaged.message,
    /^resnet18_v1c-b5776b93\.pth, .* is damaged in the cache \(.* has SHA-256 [0-9a-f]{64}, which should begin with b5776b93\), and --offline/,
  );
  t.deepEqual(await backboneState(`https://weights.test/${empty}`), present(false, 'pretrained', empty));
  t.deepEqual(await backboneState(path.join(cache, 'own.pth')), present(true, 'own.pth'));
  // The user's choice before the published file.
  await writeFiles(cache, { 'pretrained/resnet18_v1c.safetensors': '' });
  t.deepEqual(
    await backboneState(resnet18, { offline: true }),
    present(true, 'pretrained', 'resnet18_v1c.safetensors'),
  );
});
