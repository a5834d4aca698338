import path from 'node:path';
import test from 'ava';
import { saveWeights } from '../../src/weights/convert.js';
import { describeWeights, formatWeights } from '../../src/weights/show.js';
import { temporaryFolder } from '../helpers/folder.js';

const LONG = 'backbone.layer4.0.downsample.1.num_batches_tracked';

test('lines are as wide as the terminal, whatever the names', async (t) => {
  const file = path.join(await temporaryFolder(t), 'a folder with a long name', `${'long'.repeat(15)}.safetensors`);
  const weights = (name: string) => ({
    name,
    dtype: 'float32' as const,
    shape: [512, 1024],
    data: new Float32Array(2 ** 19),
  });
  await saveWeights(file, [weights(LONG), weights('decode_head.conv_seg.weight')], {
    config: 'many words '.repeat(12),
  });
  const described = await describeWeights(file);
  const linesOf = (width: number) => formatWeights(described, width).split('\n');
  for (const width of [50, 72, 80, 120]) {
    t.deepEqual(
      linesOf(width).filter((line) => line.length > width),
      [],
      `${width} columns`,
    );
    t.true(formatWeights(described, width).includes(LONG));
  }
  t.regex(linesOf(120)[1]!, /^backbone\S+ +512×1024 +float32 +2097152$/);
  t.regex(linesOf(72)[1]!, /^backbone\S+ +512×1024 +float32$/);
  t.true(linesOf(72).includes('Left out to fit: the bytes of each; --json has them.'));
  t.regex(linesOf(50)[2]!, /^ +512×1024 +float32 +2097152$/, 'below the name');
});
