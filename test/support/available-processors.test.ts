import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { availableProcessors } from '../../src/support/available-processors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const V2 = {
  'proc/self/cgroup': '0::/pod/box\n',
  'proc/self/mountinfo': '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n',
};

async function processors(t: ExecutionContext, files: Record<string, string>, parallelism: number): Promise<number> {
  const root = path.join(await temporaryFolder(t), 'root');
  await writeFiles(root, files);
  return availableProcessors(root, parallelism);
}

test('without a limit of processor time, those on which the system would run the process', async (t) => {
  t.is(await processors(t, {}, 6), 6);
  t.is(await processors(t, { ...V2, 'sys/fs/cgroup/pod/cpu.max': 'max 100000\n' }, 6), 6);
});

test('version 2: the least quota of the cgroup and those above it, rounded up', async (t) => {
  const files = {
    ...V2,
    'sys/fs/cgroup/pod/cpu.max': '250000 100000\n',
    'sys/fs/cgroup/pod/box/cpu.max': '400000 100000\n',
  };
  t.is(await processors(t, files, 8), 3);
  t.is(await processors(t, files, 2), 2);
  t.is(await processors(t, { ...files, 'sys/fs/cgroup/pod/box/cpu.max': '20000 100000\n' }, 8), 1);
});

test('version 1: the quota and the period are files of their own, and -1 is no quota', async (t) => {
  const mount = '36 25 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n';
  const files = { 'proc/self/cgroup': '4:cpu,cpuacct:/box\n', 'proc/self/mountinfo': mount };
  const folder = 'sys/fs/cgroup/cpu/box';
  const limited = { ...files, [`${folder}/cpu.cfs_quota_us`]: '200000\n', [`${folder}/cpu.cfs_period_us`]: '100000\n' };
  t.is(await processors(t, limited, 8), 2);
  t.is(await processors(t, { ...limited, [`${folder}/cpu.cfs_quota_us`]: '-1\n' }, 8), 8);
});
