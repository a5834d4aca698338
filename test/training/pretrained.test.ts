import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { findPretrained } from '../../src/training/pretrained.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

test.serial('a published backbone is found in the cache by its name, a file by its path', async (t) => {
  const cache = await temporaryFolder(t);
  const previous = process.env['FCN_CACHE_DIR'];
  process.env['FCN_CACHE_DIR'] = cache;
  t.teardown(() => {
    if (previous === undefined) delete process.env['FCN_CACHE_DIR'];
    else process.env['FCN_CACHE_DIR'] = previous;
  });
  const error = t.throws(() => findPretrained('open-mmlab://resnet18_v1c'), { instanceOf: UserError });
  t.true(error!.message.includes(path.join(cache, 'pretrained', 'resnet18_v1c.pth')));
  t.regex((error as UserError).next!, /--set pretrained=null/);

  await writeFiles(cache, { 'pretrained/resnet18_v1c.safetensors': '', 'own.pth': '' });
  t.is(findPretrained('open-mmlab://resnet18_v1c'), path.join(cache, 'pretrained', 'resnet18_v1c.safetensors'));
  t.is(findPretrained(path.join(cache, 'own.pth')), path.join(cache, 'own.pth'));
  t.throws(() => findPretrained('torchvision://resnet50'), { message: /resnet50\.pth/ });
});
