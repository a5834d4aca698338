import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fcn } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';

withSmallDisk('a disk that is full at the start is found before training', async (t) => {
  const folder = await temporaryFolder(t);
  const mounted = await smallDisk(t, folder, '4k');
  const disk = mounted.folder;
  spawnSync('dd', ['if=/dev/zero', `of=${path.join(disk, 'filler')}`, 'bs=4k', 'count=1']);
  const parameters = [
    'benchmark',
    ROW,
    '--profile',
    'smoke',
    '--engine',
    'wasm',
    '--results',
    path.join(disk, 'results'),
  ];
  const { code, stderr } = await fcn(parameters, { cwd: folder });
  t.regex(stderr, /^error: Disk full while writing .*\.\nnext: Free some space.*\n$/);
  t.is(code, 2);
});

withSmallDisk('a disk that fills up during training ends the run with one line and no half-written file', async (t) => {
  const folder = await cityscapesFolder(t);
  const mounted = await smallDisk(t, folder, '64k');
  const disk = mounted.folder;
  const changes = ['width=4', 'training.batch=2', 'iterations=2'].flatMap((change) => ['--set', change]);
  const parameters = ['train', ROW, '--profile', 'smoke', '--engine', 'wasm', ...changes, '--runs', disk, '--force'];
  const { code, stderr } = await fcn(parameters, { cwd: folder });
  t.regex(stderr, /^error: Disk full while writing .*checkpoints.*\.\nnext: Free some space/m);
  t.is(code, 2);
  const [run = ''] = readdirSync(path.join(disk, ROW));
  t.deepEqual(readdirSync(path.join(disk, ROW, run, 'checkpoints')), []);
});
