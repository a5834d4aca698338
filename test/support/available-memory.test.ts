import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { availableMemory } from '../../src/support/available-memory.js';
import { temporaryFolder } from '../helpers/folder.js';

const GB = 2 ** 30;
const kilobytes = (bytes: number) => `${bytes / 1024} kB`;

/** A folder with files like those of Linux: a machine of 24 GB with 20 GB free, and these. */
async function fakeRoot(t: ExecutionContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await temporaryFolder(t);
  const meminfo = `MemTotal:       ${kilobytes(24 * GB)}\nMemFree:  1 kB\nMemAvailable:   ${kilobytes(20 * GB)}\nSwapFree: ${kilobytes(99 * GB)}\n`;
  for (const [file, text] of Object.entries({ 'proc/meminfo': meminfo, ...files })) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), `${text}\n`);
  }
  return root;
}

const V2_MOUNT = '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw';
const V1_MOUNT = (group: string) =>
  `25 24 0:20 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n36 25 0:31 ${group} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`;

test('without a container the machine is the limit, what the process has already included', async (t) => {
  t.deepEqual(availableMemory(GB, await fakeRoot(t, {})), { bytes: 21 * GB, limitFile: null, totalBytes: 24 * GB });
});

test('a cgroup without a limit leaves the machine as the limit', async (t) => {
  const root = await fakeRoot(t, {
    'proc/self/cgroup': '0::/user.slice',
    'proc/self/mountinfo': V2_MOUNT,
    'sys/fs/cgroup/user.slice/memory.max': 'max',
    'sys/fs/cgroup/user.slice/memory.current': String(3 * GB),
  });
  t.is(availableMemory(0, root).limitFile, null);
});

test('version 2: the least of what is free in the cgroup and in all above it, without what others there use', async (t) => {
  const files = {
    'proc/self/cgroup': '0::/pod/box',
    'proc/self/mountinfo': V2_MOUNT,
    'sys/fs/cgroup/pod/memory.max': String(10 * GB),
    'sys/fs/cgroup/pod/memory.current': String(7 * GB),
    // 2 GB are cached files, of which half a GB is mapped.
    'sys/fs/cgroup/pod/memory.stat': `anon 5\nactive_file ${GB}\ninactive_file ${GB}\nfile_mapped ${GB / 2}`,
    'sys/fs/cgroup/pod/box/memory.max': String(8 * GB),
    'sys/fs/cgroup/pod/box/memory.current': String(GB),
  };
  // 10 − 7 + 1.5 in the upper one, 8 − 1 in the own one; and 1 GB that the process has.
  t.deepEqual(availableMemory(GB, await fakeRoot(t, files)), {
    bytes: 5.5 * GB,
    limitFile: '/sys/fs/cgroup/pod/memory.max',
    totalBytes: 10 * GB,
  });
  const throttled = { ...files, 'sys/fs/cgroup/pod/box/memory.high': String(4 * GB) };
  t.deepEqual(availableMemory(GB, await fakeRoot(t, throttled)), {
    bytes: 4 * GB,
    limitFile: '/sys/fs/cgroup/pod/box/memory.high',
    totalBytes: 4 * GB,
  });
});

test('version 2: a container sees its own cgroup as the mount point', async (t) => {
  const own = {
    'sys/fs/cgroup/memory.max': String(2 * GB),
    'sys/fs/cgroup/memory.current': String(GB / 2),
  };
  for (const [group, mount] of [
    ['/', V2_MOUNT],
    ['/docker/1234', V2_MOUNT.replace('0:26 /', '0:26 /docker/1234')],
    ['/../../elsewhere', V2_MOUNT],
  ]) {
    const root = await fakeRoot(t, { ...own, 'proc/self/cgroup': `0::${group}`, 'proc/self/mountinfo': mount! });
    t.deepEqual(availableMemory(0, root), {
      bytes: 1.5 * GB,
      limitFile: '/sys/fs/cgroup/memory.max',
      totalBytes: 2 * GB,
    });
  }
});

test('version 1: the limit of the memory controller; a huge number is none', async (t) => {
  const files = {
    'proc/self/cgroup': '5:cpu:/\n4:memory:/docker/1234\n0::/',
    'proc/self/mountinfo': `${V1_MOUNT('/docker/1234')}\n31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`,
    'sys/fs/cgroup/memory/memory.limit_in_bytes': String(4 * GB),
    'sys/fs/cgroup/memory/memory.usage_in_bytes': String(3 * GB),
    'sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${GB}\ntotal_active_file 0\ntotal_mapped_file 0`,
  };
  t.deepEqual(availableMemory(0, await fakeRoot(t, files)), {
    bytes: 2 * GB,
    limitFile: '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    totalBytes: 4 * GB,
  });
  const unlimited = { ...files, 'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712' };
  t.is(availableMemory(0, await fakeRoot(t, unlimited)).limitFile, null);
  // The cgroup of a service, and its limit in the one above.
  const nested = {
    ...files,
    'proc/self/mountinfo': V1_MOUNT('/'),
    'proc/self/cgroup': '4:cpu,memory:/docker/1234',
    'sys/fs/cgroup/memory/docker/memory.limit_in_bytes': String(3 * GB),
    'sys/fs/cgroup/memory/docker/memory.usage_in_bytes': String(2 * GB),
  };
  t.is(availableMemory(0, await fakeRoot(t, nested)).limitFile, '/sys/fs/cgroup/memory/docker/memory.limit_in_bytes');
});

test('more than the limit is never available, whatever the process has', async (t) => {
  const root = await fakeRoot(t, {
    'proc/self/cgroup': '0::/box',
    'proc/self/mountinfo': V2_MOUNT,
    'sys/fs/cgroup/box/memory.max': String(GB),
    'sys/fs/cgroup/box/memory.current': String(2 * GB),
  });
  t.is(availableMemory(3 * GB, root).bytes, GB);
});
