import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'ava';
import { clusterOptions } from '../../../src/jobs/cluster-options.js';
import { arrayOf, formatIndices, slurmName, slurmScript } from '../../../src/jobs/slurm/script.js';
import { packageRoot } from '../../../src/support/package.js';

const ONE = { tasks: 1, processes: 1 };

test('indices as Slurm writes them', (t) => {
  t.is(formatIndices([0, 1, 2, 5, 7, 8]), '0-2,5,7-8');
  t.is(formatIndices([3]), '3');
  t.is(arrayOf([0, 1], { maxParallel: 8 }), '0-1%8');
});

test('the first eight characters of a name tell the jobs of a day apart', (t) => {
  const names = ['20261130-035022', '20261130-035023', '20261130-035022-2'].map(slurmName);
  t.deepEqual(names, ['035022-fcn-20261130', '035023-fcn-20261130', '035022-2-fcn-20261130']);
  t.is(new Set(names.map((name) => name.slice(0, 8))).size, 3);
  t.is(slurmName('ID'), 'fcn-ID');
});

test('the script has what was asked, what the job relies on, and becomes the worker', async (t) => {
  const options = await clusterOptions(undefined, {
    ...{ maxParallel: 2, time: '24:00:00', partition: 'gpu', account: 'a', qos: 'q', constraint: 'a100&ib' },
    ...{ cpus: 16, mem: '32G', gpus: 'a100:1', nodes: 1, sbatch: ['--exclude=node[7-8]', '--comment="x y"'] },
    setup: 'module load nodejs/20\n',
  });
  const lines = slurmScript(options, '/data/runs/jobs/20261130-020000', { tasks: 41, processes: 1 }).split('\n');
  t.is(lines[0], '#!/bin/bash');
  t.deepEqual(
    lines.filter((line) => line.startsWith('#SBATCH')).map((line) => line.slice('#SBATCH '.length)),
    [
      ...['--job-name=020000-fcn-20261130', '--array=0-40%2', '--output=logs/%a.slurm.log', '--open-mode=append'],
      ...['--requeue', '--signal=B:USR2@180', '--nodes=1', '--ntasks=1', '--cpus-per-task=16', '--time=24:00:00'],
      ...['--partition=gpu', '--account=a', '--qos=q', '--constraint=a100&ib', '--mem=32G', '--gres=gpu:a100:1'],
      ...['--exclude=node[7-8]', '--comment="x y"'],
    ],
  );
  t.true(lines.includes('module load nodejs/20'));
  const run = path.join(packageRoot(), 'bin', 'run.js');
  t.is(
    lines.at(-2),
    `exec ${process.execPath} ${run} jobs work /data/runs/jobs/20261130-020000 "$SLURM_ARRAY_TASK_ID"`,
  );
});

test('each process of a task has a place, as many on each node', async (t) => {
  const linesOf = async (nodes: number | undefined, processes: number) => {
    const script = slurmScript(await clusterOptions(undefined, { nodes, cpus: 8 }), '/jobs/1', { tasks: 1, processes });
    return [...script.matchAll(/^#SBATCH (--(?:nodes|ntasks|cpus).*)$/gm)].map(([, option]) => option);
  };
  t.deepEqual(await linesOf(2, 4), ['--nodes=2', '--ntasks=4', '--ntasks-per-node=2', '--cpus-per-task=8']);
  t.deepEqual(await linesOf(undefined, 4), ['--nodes=1', '--ntasks=4', '--cpus-per-task=8']);
});

test('a folder with a hostile name is one argument', async (t) => {
  const folder = '/data/it\'s "x" $(touch broken)\nrm -rf `x`/jobs/1';
  const script = slurmScript(await clusterOptions(undefined, {}), folder, ONE).replace(
    /^exec \S+ \S+/m,
    "printf '%s|'",
  );
  const { stdout } = spawnSync('bash', ['-c', script], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], SLURM_ARRAY_TASK_ID: '3' },
  });
  t.is(stdout, `jobs|work|${folder}|3|`);
});

test('a setup that fails ends the task before fcn', async (t) => {
  const options = await clusterOptions(undefined, { setup: 'false' });
  const { status, stdout } = spawnSync('bash', ['-c', slurmScript(options, '/jobs/1', ONE)], { encoding: 'utf8' });
  t.deepEqual([status, stdout], [1, '']);
});
