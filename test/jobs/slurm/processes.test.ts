import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { mpiState } from '../../../src/engines/mpi/manifest.js';
import { type ClusterInput, clusterOptions } from '../../../src/jobs/cluster-options.js';
import { fittingPlugin, parsePlugins, processChecks, srunPlugin } from '../../../src/jobs/slurm/processes.js';
import { srunParameters } from '../../../src/parallel/srun.js';
import type { CheckedRun } from '../../../src/runs/checks.js';
import { flagsAlone } from '../../../src/runs/run-check.js';
import { tinyExperiment } from '../../helpers/experiments.js';
import { temporaryFolder } from '../../helpers/folder.js';

/** As version 22.05 prints it. */
const LIST = `MPI plugin types are...
\tpmix
\tnone
\tcray_shasta
\tpmi2
specific pmix plugin versions available: pmix_v4
`;

test('the plugins of srun in the forms of several versions', (t) => {
  t.deepEqual(parsePlugins(LIST), ['pmix', 'cray_shasta', 'pmi2', 'pmix_v4']);
  t.deepEqual(parsePlugins('srun: MPI types are...\nsrun: none\nsrun: pmi2\n'), ['pmi2']);
  t.deepEqual(parsePlugins('MPI plugin types are...\n\tnone\n'), []);
});

test('the plugin that fits an MPI', (t) => {
  const offered = parsePlugins(LIST);
  t.is(fittingPlugin('Open MPI v4.1.4, package: Debian OpenMPI', offered), 'pmix');
  t.is(fittingPlugin('Open MPI v5.0.3', ['pmi2', 'pmix_v3']), 'pmix_v3');
  t.is(fittingPlugin('Open MPI v4.1.4', ['pmi2']), null);
  t.is(fittingPlugin('MPICH Version: 4.0.2', offered), 'pmi2');
  t.is(fittingPlugin('MPICH Version: 4.0.2', ['pmix']), null);
});

test('srun lets the others save if one process ends, and gives each its processors', (t) => {
  const words = srunParameters(4, 'pmix', { SLURM_CPUS_PER_TASK: '8' });
  t.deepEqual(words.slice(0, 3), ['--mpi=pmix', '--ntasks=4', '--cpus-per-task=8']);
  t.true(words.includes('--kill-on-bad-exit=0'));
  t.true(words.includes('--distribution=block'));
  t.false(srunParameters(4, 'pmix', {}).some((word) => word.startsWith('--cpus')));
});

/** A cluster whose srun prints this. */
async function srunPrints(t: ExecutionContext, text: string) {
  const folder = path.join(await temporaryFolder(t), 'bin');
  await mkdir(folder);
  await writeFile(path.join(folder, 'srun'), `#!/bin/sh\ncat <<'END'\n${text}\nEND\n`);
  await chmod(path.join(folder, 'srun'), 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder}:/usr/bin:/bin`;
  t.teardown(() => {
    process.env['PATH'] = before;
  });
}

const checked = [{ run: { experiment: tinyExperiment({}) } }] as unknown as CheckedRun[];

async function missing(asked: ClusterInput, processes: number) {
  const options = await clusterOptions(undefined, asked);
  const planned = { options, origins: new Map(), processes, stages: ['train'] as const, commandWith: flagsAlone };
  return (await processChecks(planned, checked)).map(({ text, next }) => [text, next] as const);
}

const onUnix = process.platform === 'win32' ? test.serial.skip : test.serial;

onUnix('what several processes lack is named before anything is submitted; one needs nothing', async (t) => {
  await srunPrints(t, 'MPI plugin types are...\n\tnone');
  t.deepEqual(await missing({}, 1), []);
  const found = await missing({ nodes: 2, gpus: 1 }, 3);
  const texts = found.map(([text]) => text);
  t.is(texts[0], '--processes 3 cannot be divided equally among --nodes 2.');
  t.is(found[0]![1], '--processes 4');
  t.regex(texts[1]!, /on processors, but --gpus 1 asks for GPUs/);
  t.regex(texts[2]!, /batch of 2 images cannot be divided among 3 processes\. Give --processes one of 1, 2\.$/);
  // Where the operations for MPI are not installed, that comes first.
  const hasMpi = !('problem' in (await mpiState()));
  t.regex(
    texts[3]!,
    hasMpi ? /find each other by srun --mpi=pm.*, but this cluster's srun has none\./ : /^Several processes need MPI/,
  );
  t.is(found[3]![1], hasMpi ? null : 'fcn engines install --mpi');
  t.is(texts.length, 4);
});

onUnix('a plugin that is asked for counts, if srun has it', async (t) => {
  await srunPrints(t, LIST);
  t.is(await srunPlugin({ mpi: 'cray_shasta' }), 'cray_shasta');
  const texts = (await missing({ nodes: 2, mpi: 'openmpi' }, 2)).map(([text]) => text);
  const hasMpi = !('problem' in (await mpiState()));
  t.regex(texts.at(-1)!, hasMpi ? /no plugin openmpi, .*has pmix, cray_shasta, pmi2/ : /^Several processes need MPI/);
  t.is(texts.length, 1);
});
