import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { decodeLabels } from '../../src/data/decode.js';
import { IGNORE_INDEX } from '../../src/data/image.js';
import { encodePalettePng } from '../../src/data/png-write.js';
import { readSplit } from '../../src/data/split.js';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { makeExamples } from '../../src/pages/runs/examples.js';
import { resolve } from '../../src/recipe/resolve.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import { near } from '../helpers/numeric.js';

const ROW = 'camvid_r18-d8';

test('the best and the worst predictions are those of the highest and the lowest mIoU', async (t) => {
  const set = await generated(t, 'camvid', 12, 64);
  const entries = await readSplit(set.dataset, 'val', set.dataRoot);
  const predictions = await temporaryFolder(t);
  // The first is right everywhere; of each further one, more rows are called "sky".
  for (const [i, { name, label }] of entries.entries()) {
    const { data, width, height } = await decodeLabels(label);
    const wrong = Math.floor((height * i) / entries.length);
    const ids = data.map((id, at) => (at < wrong * width || id >= set.dataset.classes.length ? 0 : id));
    await mkdir(predictions, { recursive: true });
    writeFileSync(
      path.join(predictions, `${name}.png`),
      await encodePalettePng(ids, width, height, set.dataset.palette),
    );
  }
  const experiment = resolve({ row: ROW });
  const confusion = new ConfusionMatrix(set.dataset.classes.length, IGNORE_INDEX);
  for (const { name, label } of entries) {
    const truth = await decodeLabels(label);
    confusion.add((await decodeLabels(path.join(predictions, `${name}.png`))).data, truth.data);
  }
  const own = confusion.toRows();
  const recorded = [own.map((row) => row.map(() => 0)), own];
  const options = { experiment, dataRoot: set.dataRoot, predictions, count: 1, skipped: new Set<string>(), recorded };
  const { images, best, worst } = await makeExamples(options);
  t.is(images, entries.length);
  t.is(best[0]!.name, entries[0]!.name);
  t.is(best[0]!.mIoU, 1);
  t.true(worst[0]!.mIoU < 1);
  // Error maps: nothing wrong in the best; in the worst, as many orange pixels as its accuracy says.
  const wrongShare = async (png: Buffer) => {
    const { data } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const colours = Array.from({ length: data.length / 3 }, (_, i) => data.subarray(3 * i, 3 * i + 3).join(' '));
    const wrong = colours.filter((colour) => colour === '213 94 0').length;
    return wrong / (wrong + colours.filter((colour) => colour === '232 236 240').length);
  };
  t.is(await wrongShare(best[0]!.error), 0);
  near(t, await wrongShare(worst[0]!.error), 1 - worst[0]!.pixelAccuracy);
  const other = own.map((row, i) =>
    row.map((count, k) => (i !== 0 ? count : count + (k === 0 ? 3 : k === 1 ? -3 : 0))),
  );
  await t.throwsAsync(makeExamples({ ...options, recorded: [other] }), {
    name: 'UserError',
    message: /are not those of the run: its confusion matrix counts 3 or more pixels differently/,
  });
  t.is((await makeExamples({ ...options, recorded: [] })).images, entries.length);
  writeFileSync(
    path.join(predictions, `${entries[0]!.name}.png`),
    await encodePalettePng(new Uint8Array(4), 2, 2, set.dataset.palette),
  );
  await t.throwsAsync(makeExamples(options), {
    name: 'UserError',
    message: /is 2×2 pixels, but the label .* is 64×64/,
  });
});
