import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { IGNORE_INDEX, type RgbImage, type Size } from '../data/image.js';
import type { Palette } from '../data/palette.js';
import { ConfusionMatrix, metrics } from '../evaluation/confusion.js';
import { encodePrediction } from '../evaluation/prediction-png.js';
import { writeFileAtomic } from '../support/files.js';
import { formatPercent } from '../support/format.js';

const BLACK = [0, 0, 0] as const;
const WRONG = [230, 30, 30] as const;

/** An image with its classes' colours laid over it; ids without a colour (the ignore index) leave it as it is. */
export function overlay(image: RgbImage, labels: Uint8Array, palette: Palette, opacity: number): RgbImage {
  return coloured(image, (pixel) => palette[labels[pixel]!], opacity);
}

/** Where a prediction is wrong: red over the grey image; black where the truth is not labelled. */
export function errorMap(image: RgbImage, prediction: Uint8Array, truth: Uint8Array): RgbImage {
  const { height, width, data } = image;
  const grey = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    // Luma by ITU-R BT.601, brightened so that red stands out from dark images.
    grey.fill(128 + (0.299 * data[i]! + 0.587 * data[i + 1]! + 0.114 * data[i + 2]!) / 2, i, i + 3);
  }
  const colour = (pixel: number) => {
    if (truth[pixel] === IGNORE_INDEX) return BLACK;
    return prediction[pixel] === truth[pixel] ? undefined : WRONG;
  };
  return coloured({ height, width, data: grey }, colour, 1);
}

type Colour = Palette[number];

function coloured(image: RgbImage, colour: (pixel: number) => Colour | undefined, opacity: number): RgbImage {
  const data = Uint8Array.from(image.data);
  for (let pixel = 0; pixel < image.height * image.width; pixel++) {
    const over = colour(pixel);
    if (over === undefined) continue;
    for (let channel = 0; channel < 3; channel++) {
      const i = 3 * pixel + channel;
      data[i] = Math.round((1 - opacity) * data[i]! + opacity * over[channel]!);
    }
  }
  return { ...image, data };
}

/** An entry of a legend: a class's colour and what is said of it. */
interface LegendEntry {
  readonly colour: Palette[number];
  readonly text: string;
}

interface Panel {
  /** Written above it; null: nothing. */
  readonly title: string | null;
  readonly image: RgbImage;
}

/** Where everything of a sheet lies, in pixels. */
interface SheetLayout extends Size {
  readonly fontSize: number;
  readonly panels: readonly { readonly left: number; readonly top: number }[];
  readonly entries: readonly { readonly left: number; readonly top: number }[];
}

/** Narrower sheets have no room for a legend that can be read. */
const LEAST_WIDTH = 320;
/** Width of a character over the font's size, sans-serif, on the safe side. */
const CHARACTER = 0.62;

/** Panels, all of one size, in rows of `columns`; beneath them the legend, in as many columns as fit. */
export function layOut(
  panelSize: Size,
  titles: readonly (string | null)[],
  columns: number,
  entries: readonly LegendEntry[],
): SheetLayout {
  const width = Math.max(columns * panelSize.width, LEAST_WIDTH);
  const fontSize = Math.round(Math.min(Math.max(width / 64, 12), 32));
  const line = Math.round(fontSize * 1.5);
  const titleHeight = titles.every((title) => title === null) ? 0 : line;
  const rowHeight = titleHeight + panelSize.height;
  const panels = titles.map((_, i) => ({
    left: (i % columns) * panelSize.width,
    top: Math.floor(i / columns) * rowHeight + titleHeight,
  }));
  const legendTop = Math.ceil(titles.length / columns) * rowHeight + Math.round(line / 2);
  const longest = Math.max(0, ...entries.map(({ text }) => text.length));
  // The swatch takes a line's height, and two characters are left between columns.
  const entryWidth = line + Math.ceil((longest + 2) * CHARACTER * fontSize);
  const across = Math.max(1, Math.floor(width / entryWidth));
  const down = Math.ceil(entries.length / across);
  return {
    width,
    height: legendTop + down * line + Math.round(line / 2),
    fontSize,
    panels,
    entries: entries.map((_, i) => ({
      left: Math.round(fontSize / 2) + Math.floor(i / down) * entryWidth,
      top: legendTop + (i % down) * line,
    })),
  };
}

const escapeText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function drawing(layout: SheetLayout, panels: readonly Panel[], entries: readonly LegendEntry[]): string {
  const { width, height, fontSize } = layout;
  const baseline = Math.round(fontSize * 0.9);
  const titles = panels.map(({ title }, i) => {
    const { left, top } = layout.panels[i]!;
    return title === null
      ? ''
      : `<text x="${left + fontSize / 2}" y="${top - fontSize / 2}">${escapeText(title)}</text>`;
  });
  const legend = entries.map(({ colour, text }, i) => {
    const { left, top } = layout.entries[i]!;
    return (
      `<rect x="${left}" y="${top}" width="${fontSize}" height="${fontSize}" fill="rgb(${colour.join(',')})" stroke="#888"/>` +
      `<text x="${left + fontSize * 1.5}" y="${top + baseline}">${escapeText(text)}</text>`
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" ` +
    `font-size="${fontSize}" fill="#222">${titles.join('')}${legend.join('')}</svg>`
  );
}

/** A PNG of panels of one size with a legend beneath, on white. */
export async function drawSheet(
  panels: readonly Panel[],
  columns: number,
  entries: readonly LegendEntry[],
): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const titles = panels.map(({ title }) => title);
  const layout = layOut(panels[0]!.image, titles, columns, entries);
  const { width, height } = layout;
  return sharp({ create: { width, height, channels: 3, background: 'white' } })
    .composite([
      ...panels.map(({ image: { data, height, width } }, i) => ({
        input: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
        raw: { width, height, channels: 3 as const },
        ...layout.panels[i]!,
      })),
      { input: Buffer.from(drawing(layout, panels, entries)), left: 0, top: 0 },
    ])
    .removeAlpha()
    .png()
    .toBuffer();
}

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
