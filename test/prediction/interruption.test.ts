import path from 'node:path';
import test from 'ava';
import { loadDataset } from '../../src/data/description.js';
import { createImageLoader } from '../../src/data/loader.js';
import { encodePng } from '../../src/data/png-write.js';
import { predictImages } from '../../src/prediction/predict.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

test('a prediction ends with the code of what aborted it', async (t) => {
  const folder = await temporaryFolder(t);
  const size = { height: 4, width: 8 };
  const image = await encodePng(new Uint8Array(4 * 8 * 3), size, { colourType: 'rgb', filter: 'none', level: 1 });
  await writeFiles(folder, { 'one.png': image });
  const out = path.join(folder, 'out');
  const file = path.join(folder, 'one.png');
  const running = predictImages({
    tasks: [
      {
        source: { file, name: 'one' },
        truth: null,
        outputs: { labels: path.join(out, 'labels.png'), overlay: path.join(out, 'overlay.png'), comparison: null },
      },
    ],
    predictor: { atATime: 1, predict: async () => t.fail() as never },
    dataset: await loadDataset('cityscapes'),
    loader: await createImageLoader([file], { imageScaleWh: [8, 4] }, [1]),
    flip: false,
    opacity: 0.5,
    signal: AbortSignal.abort(new InterruptedError('', ExitCode.terminated)),
    onProgress: () => t.fail(),
  });
  const error = await t.throwsAsync(running, { instanceOf: InterruptedError, message: /after 0 of 1 image/ });
  t.is(error.exitCode, ExitCode.terminated);
});
