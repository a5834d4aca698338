import test from 'ava';
import { parseGpus, parseNodes, parsePartitions } from '../../../src/jobs/slurm/partitions.js';

test('partitions and the kinds of their nodes', (t) => {
  const line = (...fields: string[]) => fields.join('\u001f');
  const text = [
    line('gpu*', 'up', '1-00:00:00', '64', '512000+', '4', 'a100,ib', 'gpu:a100:4(S:0-1)'),
    line('long', 'down', 'infinite', '128', '1024000', '2', '(null)', '(null)'),
    'a line of something else',
  ].join('\n');
  t.deepEqual(parsePartitions(text), [
    {
      ...{ partition: 'gpu', isDefault: true, isUp: true, mostSeconds: 86_400, cpus: 64, memory: 512_000 * 2 ** 20 },
      ...{ nodes: 4, features: ['a100', 'ib'], gpus: [{ type: 'a100', count: 4 }] },
    },
    {
      ...{
        partition: 'long',
        isDefault: false,
        isUp: false,
        mostSeconds: null,
        cpus: 128,
        memory: 1_024_000 * 2 ** 20,
      },
      ...{ nodes: 2, features: [], gpus: [] },
    },
  ]);
});

test('generic resources that are GPUs', (t) => {
  t.deepEqual(parseGpus('gpu:2'), [{ type: '', count: 2 }]);
  t.deepEqual(parseGpus('nic:1,gpu:h100:8(S:0-7),gpu:mig:2'), [
    { type: 'h100', count: 8 },
    { type: 'mig', count: 2 },
  ]);
  t.deepEqual(parseGpus('(null)'), []);
});

test('nodes and their processors', (t) => {
  const text = [
    'NodeName=n1 Arch=x86_64 CoresPerSocket=8 CPUTot=64 Partitions=gpu,long Reason=x',
    'NodeName=n2 CoresPerSocket=8 State=DOWN Partitions=gpu',
    '',
  ].join('\n');
  t.deepEqual(parseNodes(text), [
    { name: 'n1', architecture: 'x86_64', partitions: ['gpu', 'long'] },
    { name: 'n2', architecture: null, partitions: ['gpu'] },
  ]);
});
