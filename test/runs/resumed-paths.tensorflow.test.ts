import { readFileSync } from 'node:fs';
import path from 'node:path';
import { PATHS_FILE, writePaths } from '../../src/runs/convolution-paths.js';
import { InterruptedError } from '../../src/support/errors.js';
import { hasEngine, startTestEngine, withEngine } from '../helpers/engines.js';
import { workplace } from '../helpers/tiny-runs.js';

const fast = hasEngine('tensorflow') && (await startTestEngine('tensorflow')).convolution === 'fast';
const onFast = withEngine('tensorflow', fast);

onFast('a run keeps its paths, takes them again when it is resumed, and its record says which', async (t) => {
  const { run, runs, said } = await workplace(t, { engine: 'tensorflow', width: 16 });
  const interrupted = () => run({ stages: ['train'] }, () => true);
  await t.throwsAsync(interrupted(), { instanceOf: InterruptedError });
  const [directory] = runs();
  const file = path.join(directory!, PATHS_FILE);
  type Paths = Parameters<typeof writePaths>[1];
  const { content } = JSON.parse(readFileSync(file, 'utf8')) as { content: Paths };
  const direct = Object.values(content).filter(({ path }) => path === 'direct').length;
  const { convolutionPaths } = JSON.parse(readFileSync(path.join(directory!, 'environment.json'), 'utf8'));
  t.regex(convolutionPaths.hash, /^[0-9a-f]{8}$/);
  t.is(convolutionPaths.shapes.direct, direct);
  t.like(convolutionPaths, { timed: 0, overruled: 0 }, 'of so few iterations nothing is timed');

  // As if another version had counted otherwise: what the file says holds.
  const name = Object.keys(content).find((shape) => shape.includes('16 to 16'))!;
  await writePaths(directory!, { ...content, [name]: { path: 'F(2×2)' } });
  await t.throwsAsync(interrupted(), { instanceOf: InterruptedError });
  t.true(said.some((line) => line.includes('Changed since its start: convolutionPaths; results may differ')));

  await writePaths(directory!, content);
  const { record } = await run({ stages: ['train'] });
  t.deepEqual(
    record.continued?.map(({ changed }) => changed),
    [['convolutionPaths'], []],
  );
  t.deepEqual(record.environment.convolutionPaths, convolutionPaths);
});
