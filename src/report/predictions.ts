import path from 'node:path';
import { formatShare, type PredictedClass, type PredictionFiles } from '../prediction/write.js';
import type { PredictionRun } from '../runs/predict.js';
import { formatNumber, formatPercent, formatSeconds } from '../support/format.js';

/** Classes that a line names; the others are counted. */
const NAMED = 5;

function formatClasses(classes: readonly PredictedClass[]): string {
  const named = classes.slice(0, NAMED).map(({ name, share }) => `${name} ${formatShare(share)}`);
  const more = classes.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** Names of the pictures that lie beside a label map. */
const beside = ({ overlay, comparison }: PredictionFiles) =>
  [overlay, comparison].flatMap((file) => (file === null ? [] : [path.basename(file)]));

/** What was predicted: two lines an image, and the figures of all together. */
export function formatPredictions({ images, failed, mIoU, coverage }: PredictionRun, out: string): string {
  const lines = images.flatMap(({ file, size, outputs, classes, seconds, mIoU }) => [
    `${file}: ${size.width}×${size.height}, ${formatSeconds(seconds)}${mIoU === null ? '' : `, mIoU ${formatPercent(mIoU)}`}`,
    `  ${formatClasses(classes)}`,
    `  ${[outputs.labels, ...beside(outputs)].join(', ')}`,
  ]);
  const count = `${formatNumber(images.length, 'image')} predicted in ${out}`;
  const left = failed.length === 0 ? '' : `, ${failed.length} left out`;
  return [
    ...lines,
    `${count}${left}${mIoU === null ? '' : `, mIoU of all ${formatPercent(mIoU)}`}.`,
    ...(coverage === null ? [] : [`${coverage}.`]),
  ].join('\n');
}
