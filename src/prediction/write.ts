import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import type { RgbImage } from '../data/image.js';
import { ConfusionMatrix, metrics } from '../evaluation/confusion.js';
import { encodePrediction } from '../evaluation/label-ids.js';
import { writeFileAtomic } from '../support/files.js';
import { formatPercent } from '../support/format.js';
import { drawSheet, errorMap, type LegendEntry, overlay } from './overlay.js';

/** The files of an image's prediction. */
export interface PredictionFiles {
  /** Palette PNG of class ids, as `fcn evaluate --predictions` writes it. */
  readonly labels: string;
  /** The image under its classes' colours, with a legend; null where label maps alone are wanted. */
  readonly overlay: string | null;
  /** Image, ground truth, prediction and errors side by side; null without a ground truth or an overlay. */
  readonly comparison: string | null;
}

/** The server of Cityscapes takes one PNG an image: of label ids, nothing else is written beside them. */
export function predictionFiles(
  out: string,
  name: string,
  { truth, labelIds }: { readonly truth: boolean; readonly labelIds: boolean },
): PredictionFiles {
  const stem = path.join(out, name);
  return {
    labels: `${stem}.png`,
    overlay: labelIds ? null : `${stem}.overlay.png`,
    comparison: truth && !labelIds ? `${stem}.comparison.png` : null,
  };
}

/** A class that was predicted; `share` is the fraction of the image's pixels. */
export interface PredictedClass {
  readonly id: number;
  readonly name: string;
  readonly share: number;
}

/** The classes that occur in a label map, most frequent first. */
export function presentClasses(labels: Uint8Array, classes: readonly string[]): PredictedClass[] {
  const counts = new Uint32Array(256);
  for (const id of labels) counts[id]!++;
  return classes
    .map((name, id) => ({ id, name, share: counts[id]! / labels.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || a.id - b.id);
}

export interface Predicted {
  readonly image: RgbImage;
  /** Both [height, width], training ids. */
  readonly prediction: Uint8Array;
  readonly truth: Uint8Array | null;
}

/**
 * Writes the files of a prediction.
 * @throws UserError where they cannot be written.
 */
export async function writePrediction(
  files: PredictionFiles,
  { image, prediction, truth }: Predicted,
  { classes, palette }: Pick<Dataset, 'classes' | 'palette'>,
  { opacity, labelIds }: { readonly opacity: number; readonly labelIds: boolean },
): Promise<void> {
  const { height, width } = image;
  await writeFileAtomic(files.labels, await encodePrediction(prediction, width, height, { palette }, labelIds));
  if (files.overlay === null) return;
  const blended = overlay(image, prediction, palette, opacity);
  const legend = presentClasses(prediction, classes).map(({ id, name, share }) => ({
    colour: palette[id]!,
    text: `${name} ${formatShare(share)}`,
  }));
  await writeFileAtomic(files.overlay, await drawSheet([{ title: null, image: blended }], 1, legend));
  if (files.comparison === null || truth === null) return;
  const panels = [
    { title: 'image', image },
    { title: 'ground truth', image: overlay(image, truth, palette, opacity) },
    { title: 'prediction', image: blended },
    { title: 'errors (red; black: not labelled)', image: errorMap(image, prediction, truth) },
  ];
  const confusion = new ConfusionMatrix(classes.length);
  confusion.add(prediction, truth);
  const entries: LegendEntry[] = metrics(confusion).iou.flatMap((iou, id) =>
    Number.isNaN(iou) ? [] : [{ colour: palette[id]!, text: `${classes[id]} IoU ${formatPercent(iou)}` }],
  );
  await writeFileAtomic(files.comparison, await drawSheet(panels, 2, entries));
}

/** In percent with one decimal; what would round to nothing is said to be less. */
export function formatShare(share: number): string {
  return share < 0.0005 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`;
}
