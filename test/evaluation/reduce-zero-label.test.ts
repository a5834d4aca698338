import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadDataset } from '../../src/data/description.js';
import { encodePng } from '../../src/data/png-write.js';
import { loadSample, makeEvaluationSample } from '../../src/data/samples.js';
import { ConfusionMatrix, metrics } from '../../src/evaluation/confusion.js';
import { temporaryFolder } from '../helpers/folder.js';

const SIZE = { height: 2, width: 4 };

/** The original's rule, applied to raw bytes once: 0 → 255, then one less, then 254 → 255. */
function reduced(raw: readonly number[]): number[] {
  return raw.map((value) => (value === 0 ? 255 : value) - 1).map((value) => (value === 254 ? 255 : value));
}

for (const [id, last] of [
  ['ade20k', 150],
  ['pascal-context-59', 59],
] as const) {
  test(`${id}: label 0 is ignored and k is class k − 1, once, in training and in evaluation`, async (t) => {
    const folder = await temporaryFolder(t);
    const dataset = await loadDataset(id);
    const raw = [0, 1, 2, last, 255, 1, 0, 3];
    const entry = { name: 'x', image: path.join(folder, 'x.png'), label: path.join(folder, 'label.png') };
    const image = await encodePng(new Uint8Array(24), SIZE, { colourType: 'rgb', filter: 'none', level: 1 });
    const label = await encodePng(Uint8Array.from(raw), SIZE, { colourType: 'grey', filter: 'none', level: 1 });
    await Promise.all([writeFile(entry.image, image), writeFile(entry.label, label)]);

    const expected = [255, 0, 1, last - 1, 255, 0, 255, 2];
    t.deepEqual(reduced(raw), expected);
    t.deepEqual([...(await loadSample(entry, dataset)).labels.data], expected);
    const sample = await makeEvaluationSample(entry, dataset, [SIZE.width, SIZE.height], [1]);
    t.deepEqual([...sample.label], expected);

    // Right at raw 1 (once of twice) and at the last class, wrong at raw 2 and 3; predictions at 0 and 255 do not count.
    const confusion = new ConfusionMatrix(dataset.classes.length);
    confusion.add([5, 0, 0, last - 1, 7, 1, 0, 3], sample.label);
    const { iou, mIoU, aAcc } = metrics(confusion);
    // Class 0: one of {raw 1 twice, predicted twice}: 1/3. Class 1: 0 of 2. Last: 1 of 1. 2 and 3: 0 of 1 each.
    t.is(iou[0], 1 / 3);
    t.is(iou[1], 0);
    t.is(iou[last - 1], 1);
    t.true(Number.isNaN(iou[5]) && Number.isNaN(iou[7]));
    t.is(mIoU, (1 / 3 + 0 + 0 + 0 + 1) / 5);
    t.is(aAcc, 2 / 5);
  });
}
