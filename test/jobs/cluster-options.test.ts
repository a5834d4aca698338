import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { clusterJsonSchema, clusterOptions, gpusOf, memBytes } from '../../src/jobs/cluster-options.js';
import { packageRoot } from '../../src/support/package.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const example = (name: string) => path.join(packageRoot(), 'experiments', 'clusters', name);

test('flags replace what the file says; options of sbatch are those of both', async (t) => {
  const options = await clusterOptions(example('slurm.yaml'), { time: '12:00:00', sbatch: ['--mail-type=END'] });
  t.like(options, {
    partition: 'gpu',
    time: '12:00:00',
    mem: '64G',
    sbatch: ['--exclude=node[7-8]', '--mail-type=END'],
  });
  t.regex(options.setup!, /^module load/);
});

test('the example for Kubernetes is read', async (t) => {
  const { kubernetes } = await clusterOptions(example('kubernetes.yaml'), {});
  t.deepEqual(kubernetes?.volumes, [{ claim: 'vision-data', path: '/data' }]);
});

test('the schema beside the examples is that of this version, and each names it', (t) => {
  const schema = `${JSON.stringify(clusterJsonSchema(), null, 2)}\n`;
  t.is(readFileSync(example('schema.json'), 'utf8'), schema, 'npm run build writes it');
  for (const name of ['slurm.yaml', 'kubernetes.yaml']) {
    t.is(readFileSync(example(name), 'utf8').split('\n')[0], '# yaml-language-server: $schema=./schema.json');
  }
});

test('mistakes in a file are named with their lines, all of them', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFiles(folder, { 'c.yaml': 'partition: gpu x\ntime: 24h\ngpu: 1\nsbatch: [--array=1]\n' });
  const error = await t.throwsAsync(clusterOptions(path.join(folder, 'c.yaml'), {}));
  for (const said of [
    /c\.yaml:1: partition: .*spaces/,
    /c\.yaml:2: time: .*HOURS/,
    /:3: gpu: .*did you mean gpus/,
    /:4: .*no --array/,
  ]) {
    t.regex(error!.message, said);
  }
});

test('mistakes in flags are named as flags', async (t) => {
  const wrong = [
    [{ partition: 'a b' }, /^--partition: expected a name without spaces, got "a b"/],
    [{ partition: 'a\n#SBATCH --uid=0' }, /^--partition: /],
    [{ maxParallel: 0 }, /^--max-parallel: /],
    [{ time: '1 day' }, /^--time: expected HOURS/],
    [{ mem: '32 GB' }, /^--mem: expected a size/],
    [{ gpus: 'two' }, /^--gpus: /],
    [{ sbatch: ['--requeue'] }, /^--sbatch: expected no --requeue/],
    [{ sbatch: ['--exclude=x -D /tmp'] }, /^--sbatch: expected no -D/],
    [{ sbatch: ['--x\n#SBATCH --y'] }, /^--sbatch: expected an option/],
    [{ sbatch: ['exclude=x'] }, /^--sbatch: expected an option/],
  ] as const;
  for (const [flags, message] of wrong) {
    const mutable = structuredClone(flags) as Parameters<typeof clusterOptions>[1];
    await t.throwsAsync(clusterOptions(undefined, mutable), { message }, JSON.stringify(flags));
  }
});

test('sizes and GPUs', (t) => {
  t.is(memBytes('32G'), 32 * 2 ** 30);
  t.is(memBytes(500), 500 * 2 ** 20);
  t.deepEqual(gpusOf('a100:2'), { count: 2, type: 'a100' });
  t.deepEqual(gpusOf(1), { count: 1, type: null });
  t.deepEqual(gpusOf(undefined), { count: 0, type: null });
});
