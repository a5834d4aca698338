import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';

/** A file system of a few kilobytes in memory. */
export interface SmallDisk {
  readonly folder: string;
  /** Mounts it again, with other options: `ro`, or `size=2m`. */
  remount(options: string): Promise<void>;
}

interface Mount extends SmallDisk {
  unmount(): void;
}

/** What commands are run with: as this user, or by `sudo` without a password. */
const PREFIXES: readonly (readonly string[])[] = [[], ['sudo', '-n']];

function run([program = '', ...parameters]: readonly string[]): boolean {
  return spawnSync(program, parameters, { stdio: 'ignore' }).status === 0;
}

function mountDirectly(prefix: readonly string[], folder: string, size: string): Mount | null {
  if (!run([...prefix, 'mount', '-t', 'tmpfs', '-o', `size=${size}`, 'none', folder])) return null;
  return {
    folder,
    remount: async (options) => {
      if (!run([...prefix, 'mount', '-o', `remount,${options}`, folder])) throw new Error(`remount,${options} failed`);
    },
    unmount: () => void run([...prefix, 'umount', folder]),
  };
}

/** In a name space of its own, in which this user may mount: seen from outside through the process that holds it. */
async function mountInNamespace(folder: string, size: string): Promise<Mount | null> {
  // Mounts, then mounts again with each line of options that it is sent. With the device named, mount takes over no options of
  // before, of which the owner's number is another one in here.
  const script =
    'mount -t tmpfs -o "size=$1" none "$2" || exit 1; echo mounted; ' +
    'while read -r options; do mount -t tmpfs -o "remount,$options" none "$2" && echo mounted || exit 1; done';
  const holder = spawn('unshare', ['-Urm', 'sh', '-c', script, 'sh', size, folder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(holder, 'close').then(
    () => false,
    () => false,
  );
  const mounted = () => Promise.race([once(holder.stdout, 'data').then(() => true), ended]);
  if (!(await mounted())) return null;
  return {
    folder: path.join('/proc', String(holder.pid), 'root', folder),
    remount: async (options) => {
      holder.stdin.write(`${options}\n`);
      if (!(await mounted())) throw new Error(`remount,${options} failed`);
    },
    unmount: () => void holder.kill('SIGKILL'),
  };
}

async function mountAnyhow(folder: string, size: string): Promise<Mount | null> {
  for (const prefix of PREFIXES) {
    const mount = mountDirectly(prefix, folder, size);
    if (mount !== null) return mount;
  }
  return mountInNamespace(folder, size);
}

/** Whether this user has a way to mount one, tried once. In continuous integration, none is an error: nothing would be tested. */
async function canMount(): Promise<boolean> {
  const folder = mkdtempSync(path.join(tmpdir(), 'fcn-mount-'));
  const mount = await mountAnyhow(folder, '4k');
  mount?.unmount();
  rmdirSync(folder);
  if (mount === null && process.env['CI'] === 'true') {
    throw new Error(
      'This user may not mount a tmpfs: neither by mount, nor by sudo -n mount, nor in a name space by unshare -Urm. ' +
        'Allow one of them: tests of full disks need it.',
    );
  }
  return mount !== null;
}

/** Declares tests that need a small disk, one after the other; skipped where this user cannot mount one. */
export const withSmallDisk = (await canMount()) ? test.serial : test.serial.skip;

/** Such a file system, unmounted when the test ends. */
export async function smallDisk(t: ExecutionContext, parent: string, size: string): Promise<SmallDisk> {
  const folder = path.join(parent, 'disk');
  mkdirSync(folder);
  const disk = await mountAnyhow(folder, size);
  if (disk === null) throw new Error(`No file system could be mounted at ${folder}.`);
  t.teardown(disk.unmount);
  return disk;
}
