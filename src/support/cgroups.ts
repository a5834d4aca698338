import { readFileSync } from 'node:fs';
import path from 'node:path';

/** What a cgroup limits. */
type Controller = 'memory' | 'cpu';

/** A folder that shows a cgroup. */
export interface CgroupFolder {
  readonly version: 1 | 2;
  /** As the system names it: below the root that the caller gave. */
  readonly folder: string;
}

/**
 * Folders of the process's cgroup and of all above it that may limit memory or processors. None on other systems than Linux.
 * @param root Where the system's files are: `/`.
 */
export function cgroupFolders(root: string, controller: Controller): CgroupFolder[] {
  const groups = readText(path.join(root, 'proc/self/cgroup'));
  const mounts = readText(path.join(root, 'proc/self/mountinfo'));
  if (groups === null || mounts === null) return [];
  return mounts.split('\n').flatMap((line) => {
    const mount = mountOf(line, controller);
    if (mount === null) return [];
    const { version } = mount;
    const group = groupOf(groups, version, controller);
    return group === null ? [] : foldersOf(mount, group).map((folder) => ({ version, folder }));
  });
}

/** Where a hierarchy of cgroups is mounted. */
interface Mount {
  readonly version: 1 | 2;
  /** The cgroup that the mount point shows. */
  readonly group: string;
  readonly folder: string;
}

/** A line of /proc/self/mountinfo (proc_pid_mountinfo(5)): id, parent, device, root, mount point, options … - type, source, options. */
function mountOf(line: string, controller: Controller): Mount | null {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , group, folder] = before.split(' ');
  const [type, , options = ''] = after.split(' ');
  if (group === undefined || folder === undefined) return null;
  if (type === 'cgroup2') return { version: 2, group, folder };
  return type === 'cgroup' && options.split(',').includes(controller) ? { version: 1, group, folder } : null;
}

/** The process's cgroup in /proc/self/cgroup (cgroups(7)), lines of hierarchy:controllers:group; null if it is in none. */
function groupOf(text: string, version: 1 | 2, controller: Controller): string | null {
  for (const line of text.split('\n')) {
    const [hierarchy, controllers = '', ...group] = line.split(':');
    const isWanted =
      version === 2 ? hierarchy === '0' && controllers === '' : controllers.split(',').includes(controller);
    if (isWanted) return group.join(':');
  }
  return null;
}

/** Folders of a cgroup and of those above it, as far as they are mounted. A container may see its own as the mount point alone. */
function foldersOf({ group: shown, folder }: Mount, group: string): string[] {
  const inside = path.posix.relative(shown, group);
  const parts = inside === '' || inside.startsWith('..') ? [] : inside.split('/');
  return [folder, ...parts.map((_, index) => path.posix.join(folder, ...parts.slice(0, index + 1)))];
}

/** A file of the system's; null if it is not there or not for us. */
export function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EOPNOTSUPP', 'EINVAL', 'ENODEV'].includes(code)) return null;
    throw error;
  }
}
