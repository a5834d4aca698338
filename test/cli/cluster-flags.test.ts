import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/support/package.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const CLUSTER = path.join(packageRoot(), 'clusters', 'slurm.yaml');

const MISTAKES: readonly (readonly [flags: readonly string[], error: RegExp, next: RegExp])[] = [
  [['--cluster', CLUSTER], /--cluster says what a job asks of a cluster/, /--executor slurm/],
  [['--cluster', CLUSTER, '--executor', 'local'], /--cluster says/, /--executor slurm/],
  [
    ['--executor', 'local', '--partition', 'gpu', '--cpus', '2'],
    /local takes no --partition and --cpus/,
    /--executor slurm/,
  ],
  [['--partition', 'gpu'], /--executor/, /--help/],
  [['--executor', 'slurm', '--time-limit', '4h'], /--time-limit ends this command/, /--time,/],
  [['--executor', 'slurm', '--threads', '4'], /--threads is for this machine/, /--cpus,/],
  [['--executor', 'slurm', '--time', '4h'], /--time: expected HOURS/, /clusters\.md/],
  [['--executor', 'slurm', '--max-parallel', '1.5'], /^error: --max-parallel 1\.5: expected an integer\.$/, /--help/],
  [['--executor', 'slurm', '--cluster', 'none.yaml'], /none\.yaml does not exist/, /^$/],
];

for (const [flags, error, next] of MISTAKES) {
  test(`a mistake is said before anything is checked: ${flags.filter((word) => word !== CLUSTER).join(' ')}`, async (t) => {
    const { code, stderr } = await fcn(['reproduce', 'camvid_r18-d8', ...flags], { cwd: await temporaryFolder(t) });
    t.is(code, 2, stderr);
    const [first = '', second = ''] = stderr.split('\n');
    t.regex(first, error);
    t.regex(second, next);
  });
}
