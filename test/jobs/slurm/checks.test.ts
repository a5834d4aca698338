import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type ClusterInput, clusterOptions, optionOrigins } from '../../../src/jobs/cluster-options.js';
import { machineOf, slurmChecks } from '../../../src/jobs/slurm/checks.js';
import { folderChecks } from '../../../src/jobs/slurm/folder-checks.js';
import { parseDefaultMemory } from '../../../src/jobs/slurm/partitions.js';
import type { CheckedRun } from '../../../src/runs/checks.js';
import { flagsAlone, type RunCheck } from '../../../src/runs/run-check.js';
import { temporaryFolder, writeFiles } from '../../helpers/folder.js';

/** What the programs of a cluster print: two partitions, the second with nodes of another kind. */
const CLUSTER = {
  sinfo: [
    ['gpu*', 'up', '1-00:00:00', '64', '512000', '4', 'a100,ib', 'gpu:a100:4'].join('\u001f'),
    ['arm', 'down', 'infinite', '128', '256000', '2', '(null)', '(null)'].join('\u001f'),
  ].join('\n'),
  scontrol: [
    'MaxArraySize            = 1001',
    'DefMemPerCPU            = 2000',
    'NodeName=g1 Arch=x86_64 Partitions=gpu',
    'NodeName=a1 Arch=aarch64 Partitions=arm',
    'NodeName=a2 Arch=aarch64 Partitions=arm',
  ].join('\n'),
};

/** Puts programs of these names on the path that print these texts; sbatch refuses with a message unless it is null. */
async function cluster(t: ExecutionContext, printed: Readonly<Record<string, string>>, refusal: string | null = null) {
  const folder = path.join(await temporaryFolder(t), 'bin');
  await mkdir(folder);
  const programs = {
    ...Object.fromEntries(Object.entries(printed).map(([name, text]) => [name, `cat <<'END'\n${text}\nEND\n`])),
    sbatch: refusal === null ? 'cat > /dev/null\n' : `cat > /dev/null\necho 'sbatch: error: ${refusal}' >&2\nexit 1\n`,
  };
  for (const [name, script] of Object.entries(programs)) {
    const file = path.join(folder, name);
    await writeFile(file, `#!/bin/sh\n${script}`);
    await chmod(file, 0o755);
  }
  return onPath(t, `${folder}:/usr/bin:/bin`);
}

function onPath(t: ExecutionContext, value: string) {
  const before = process.env['PATH'];
  process.env['PATH'] = value;
  t.teardown(() => {
    process.env['PATH'] = before;
  });
}

const PLANNED = {
  ...{ origins: new Map(), folder: '/runs/jobs/ID', tasks: 1, engine: 'auto' as const, commandWith: flagsAlone },
  ...{ processes: 1, stages: ['train'] as const },
};

/** The texts of what is missing. */
async function missing(asked: ClusterInput, tasks = 1): Promise<string[]> {
  const options = await clusterOptions(undefined, asked);
  const checks = await slurmChecks({ ...PLANNED, options, tasks }, []);
  return checks.filter(({ state }) => state === 'missing').map(({ text }) => text);
}

/** Declares a test for which Slurm's programs are scripts, one after the other: they share the path. */
const onUnix = process.platform === 'win32' ? test.serial.skip : test.serial;

onUnix('without Slurm, one problem says so', async (t) => {
  onPath(t, '/nonexistent');
  const options = await clusterOptions(undefined, {});
  const checks = await slurmChecks({ ...PLANNED, options }, []);
  t.deepEqual(
    checks.map(({ name, state, next }) => ({ name, state, next })),
    [{ name: 'scheduler', state: 'missing', next: '--executor local' }],
  );
  t.regex(checks[0]!.text, /no Slurm/);
});

onUnix('all that a partition cannot give is named at once, with what Slurm says of the rest', async (t) => {
  await cluster(t, CLUSTER, 'Invalid account');
  const found = await missing({ time: '2-0', cpus: 65, mem: '600G', gpus: 'a100:8', constraint: 'h100&ib' }, 1002);
  const said = [
    /1,?002 tasks.*1001/,
    /--time 2-0.*24 h/,
    /--cpus 65.*64/,
    /--mem 600G.*500/,
    /--gpus a100:8.*4/,
    /has h100/,
    /Invalid account/,
  ];
  t.is(found.length, said.length, found.join('\n'));
  for (const [i, expression] of said.entries()) t.regex(found[i]!, expression);
});

onUnix(
  'one command has all the flags that are wrong; a value of a file is named with its line, and is to be changed there',
  async (t) => {
    await cluster(t, CLUSTER, 'Invalid account');
    const asked = { time: '2-0', cpus: 65, mem: '600G', gpus: 'a100:8' };
    const options = await clusterOptions(undefined, asked);
    const flags = (await slurmChecks({ ...PLANNED, options }, [])).flatMap(({ next }) => next ?? []);
    t.deepEqual(flags, ['--time 24:00:00 --cpus 64 --mem 512000M --gpus a100:4']);

    const folder = await temporaryFolder(t);
    const file = path.join(folder, 'c.yaml');
    await writeFiles(folder, { 'c.yaml': 'cpus: 65\nmem: 600G\ngpus: 1\nsbatch:\n  - --exclude=x\n' });
    const given = { cpus: 70 };
    const origins = await optionOrigins(file, given);
    t.deepEqual(
      [...origins],
      [
        ['mem', `${file}:2`],
        ['gpus', `${file}:3`],
        ['sbatch.0', `${file}:5`],
      ],
    );
    const checks = await slurmChecks({ ...PLANNED, origins, options: await clusterOptions(file, given) }, []);
    const wrong = checks.filter(({ state }) => state === 'missing');
    t.is(
      wrong[1]!.text,
      `mem: 600G (${file}:2), but a node of the partition gpu has at most 512000M (500.00 GB). Write mem: 512000M there.`,
    );
    t.deepEqual(
      wrong.map(({ next }) => next),
      ['--cpus 64', null, null],
    );
  },
);

onUnix('of the options that Slurm refuses, the one is named, with its line', async (t) => {
  await cluster(t, CLUSTER);
  const script = "if grep -q exclude; then echo 'sbatch: error: Invalid node name' >&2; exit 1; fi\n";
  await writeFile(path.join(process.env['PATH']!.split(':')[0]!, 'sbatch'), `#!/bin/sh\n${script}`);
  const options = await clusterOptions(undefined, { sbatch: ['--mail-type=END', '--exclude=x'], account: 'a' });
  const said = async (origins: ReadonlyMap<string, string>) =>
    (await slurmChecks({ ...PLANNED, options, origins }, [])).filter(({ state }) => state === 'missing');
  t.deepEqual(
    (await said(new Map())).map(({ text }) => text),
    ['Slurm would refuse --exclude=x: Invalid node name.'],
  );
  const [check] = await said(new Map([['sbatch.1', 'c.yaml:5']]));
  t.is(check?.text, 'Slurm would refuse --exclude=x (c.yaml:5): Invalid node name.');
});

onUnix('GPUs where there are none, and for an engine without', async (t) => {
  await cluster(t, CLUSTER);
  const [none] = await missing({ partition: 'arm', gpus: 1 });
  t.is(
    none,
    '--gpus 1, but a node of the partition arm has none. Leave it out or choose a partition that has them: gpu.',
  );
  const options = await clusterOptions(undefined, { gpus: 1 });
  const engine = { isNative: false } as CheckedRun['engine'];
  const checked = [{ engine }] as CheckedRun[];
  const found = async (chosen: 'auto' | 'wasm') =>
    (await slurmChecks({ ...PLANNED, options, engine: chosen }, checked)).filter(({ name }) => name === 'engine');
  t.deepEqual(
    (await found('wasm')).map(({ text, next }) => [text, next]),
    [['The wasm engine uses no GPU, but --gpus 1 asks for one. Leave out one of the two.', '--engine auto']],
  );
  t.deepEqual(
    (await found('auto')).map(({ next }) => next),
    ['fcn engines install --gpu'],
  );
});

onUnix('an unknown partition is named with the nearest, and nothing is said that a known one could give', async (t) => {
  await cluster(t, CLUSTER);
  const found = await missing({ partition: 'gpuu', cpus: 100 });
  t.is(found.length, 1);
  t.regex(found[0]!, /no partition gpuu\. Known: gpu and arm/);
});

onUnix('what fits is accepted', async (t) => {
  await cluster(t, CLUSTER);
  t.deepEqual(await missing({ time: '1-0', cpus: 64, mem: '500G', constraint: 'a100&ib' }, 1001), []);
});

onUnix('processors of another kind, and a partition that is down', async (t) => {
  await cluster(t, CLUSTER);
  const options = await clusterOptions(undefined, { partition: process.arch === 'arm64' ? 'gpu' : 'arm' });
  const checks = await slurmChecks({ ...PLANNED, options }, []);
  const of = (name: RunCheck['name'], state: RunCheck['state']) =>
    checks.filter((check) => check.name === name && check.state === state).map(({ text }) => text);
  t.regex(of('engine', 'missing')[0] ?? '', /processors, this machine/);
  if (process.arch !== 'arm64') t.regex(of('scheduler', 'warning')[0] ?? '', /arm is down/);
});

onUnix('the memory that a task gets: asked for, or the default of the partition', async (t) => {
  await cluster(t, CLUSTER);
  const bytesOf = async (asked: ClusterInput) => {
    const { mainMemory } = await machineOf(await clusterOptions(undefined, asked));
    return mainMemory === null ? null : mainMemory.totalBytes / 2 ** 20;
  };
  t.is(await bytesOf({ mem: '3G' }), 3072);
  t.is(await bytesOf({ cpus: 2 }), 4000);
  t.is(await bytesOf({ gpus: '1' }), null);
});

test('defaults of memory in all forms', (t) => {
  t.is(parseDefaultMemory('DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED', 4), null);
  t.is(parseDefaultMemory('DefMemPerNode=2000 MaxMemPerNode=UNLIMITED', 4), 2000 * 2 ** 20);
  t.is(parseDefaultMemory('DefMemPerCPU=500 MaxMemPerNode=UNLIMITED', 4), 2000 * 2 ** 20);
});

test('a folder that Slurm would write elsewhere, or that nodes cannot see', async (t) => {
  const node = { name: 'elsewhere', architecture: 'x86_64', partitions: ['gpu'] };
  const [replaced] = await folderChecks('/runs/100 %/jobs/ID', []);
  t.like(replaced, { name: 'folders', state: 'missing', next: '--runs DIR' });
  t.regex(replaced!.text, /Slurm replaces "%"/);
  t.deepEqual(await folderChecks('/runs/jobs/ID', []), []);
  const states = (await folderChecks('/runs/jobs/ID', [node])).map(({ state }) => state);
  t.deepEqual([...new Set(states)].length, 1);
});
