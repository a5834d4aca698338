import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { type Box, IGNORE_INDEX, type Palette, type RgbImage, type Size } from '../data/image.js';
import { ConfusionMatrix, metrics } from '../evaluation/confusion.js';
import { encodePrediction } from '../evaluation/prediction-png.js';
import { writeFileAtomic } from '../support/files.js';
import { formatPercent } from '../support/format.js';
import { formatPixelShare, presentClasses } from './classes.js';

const BLACK = [0, 0, 0] as const;
const WRONG = [230, 30, 30] as const;

/** An image under the colours of its classes. Ids without a colour, such as the ignore index, leave it as it is. */
export function overlay(image: RgbImage, labels: Uint8Array, palette: Palette, opacity: number): RgbImage {
  return blend(image, (pixel) => palette[labels[pixel]!], opacity);
}

/** The grey image with wrong predictions in red and unlabelled pixels in black. */
export function errorMap(image: RgbImage, prediction: Uint8Array, truth: Uint8Array): RgbImage {
  const { height, width, data } = image;
  const grey = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    // Luma of ITU-R BT.601, brightened so that red stands out in dark images.
    grey.fill(128 + (0.299 * data[i]! + 0.587 * data[i + 1]! + 0.114 * data[i + 2]!) / 2, i, i + 3);
  }
  const colour = (pixel: number) => {
    if (truth[pixel] === IGNORE_INDEX) return BLACK;
    return prediction[pixel] === truth[pixel] ? undefined : WRONG;
  };
  return blend({ height, width, data: grey }, colour, 1);
}

type Colour = Palette[number];

/** A copy of an image with each pixel's colour, if it has one, laid over it. */
function blend(image: RgbImage, colourOf: (pixel: number) => Colour | undefined, opacity: number): RgbImage {
  const data = Uint8Array.from(image.data);
  for (let pixel = 0; pixel < image.height * image.width; pixel++) {
    const colour = colourOf(pixel);
    if (colour === undefined) continue;
    for (let channel = 0; channel < 3; channel++) {
      const i = 3 * pixel + channel;
      data[i] = Math.round((1 - opacity) * data[i]! + opacity * colour[channel]!);
    }
  }
  return { ...image, data };
}

interface LegendEntry {
  /** Null for what is of no class. */
  readonly colour: Colour | null;
  readonly text: string;
}

interface Panel {
  readonly title: string | null;
  readonly image: RgbImage;
}

type Position = Pick<Box, 'left' | 'top'>;

/** The positions of everything on a sheet, in pixels. */
interface SheetLayout extends Size {
  readonly fontSize: number;
  readonly panels: readonly Position[];
  readonly entries: readonly Position[];
}

/** Narrower sheets have no room for a readable legend. */
const LEAST_WIDTH = 320;
/** Width of a sans-serif character relative to the font's size, on the safe side. */
const CHARACTER_WIDTH = 0.62;

/** Lays out panels of one size in rows of `columns`, with the legend below in as many columns as fit. */
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
  // The colour takes a line's height, and columns are two characters apart.
  const entryWidth = line + Math.ceil((longest + 2) * CHARACTER_WIDTH * fontSize);
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

function sheetSvg(layout: SheetLayout, panels: readonly Panel[], entries: readonly LegendEntry[]): string {
  const { width, height, fontSize } = layout;
  const baseline = Math.round(fontSize * 0.9);
  const titles = panels.map(({ title }, i) => {
    const { left, top } = layout.panels[i]!;
    return title && `<text x="${left + fontSize / 2}" y="${top - fontSize / 2}">${escapeText(title)}</text>`;
  });
  const legend = entries.map(({ colour, text }, i) => {
    const { left, top } = layout.entries[i]!;
    const swatch =
      colour === null
        ? ''
        : `<rect x="${left}" y="${top}" width="${fontSize}" height="${fontSize}" fill="rgb(${colour.join(',')})" stroke="#888"/>`;
    return `${swatch}<text x="${left + fontSize * 1.5}" y="${top + baseline}">${escapeText(text)}</text>`;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" ` +
    `font-size="${fontSize}" fill="#222">${titles.join('')}${legend.join('')}</svg>`
  );
}

/** A PNG of panels of one size with a legend below, on white. */
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
      { input: Buffer.from(sheetSvg(layout, panels, entries)), left: 0, top: 0 },
    ])
    .removeAlpha()
    .png()
    .toBuffer();
}

/** The files of an image's prediction. */
export interface PredictionFiles {
  /** Palette PNG of class ids, as `fcn evaluate --predictions` writes it. */
  readonly labels: string;
  /** The image under its classes' colours, with a legend; null if only label maps are written. */
  readonly overlay: string | null;
  /** Image, ground truth, prediction and errors side by side; null without a ground truth or an overlay. */
  readonly comparison: string | null;
}

/** For label ids only the label maps: the Cityscapes server takes one PNG an image. */
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

/** The figures of one image: over all of it, then of each class that is labelled or predicted. */
export function comparisonLegend(
  confusion: ConfusionMatrix,
  { classes, palette }: Pick<Dataset, 'classes' | 'palette'>,
): LegendEntry[] {
  const { iou, mIoU, aAcc } = metrics(confusion);
  const entry = (name: string, value: number, colour: Colour | null): LegendEntry[] =>
    Number.isNaN(value) ? [] : [{ colour, text: `${name} ${formatPercent(value)} %` }];
  return [
    ...entry('mIoU of this image:', mIoU, null),
    ...entry('pixels right:', aAcc, null),
    ...iou.flatMap((value, id) => entry(`${classes[id]}: IoU`, value, palette[id]!)),
  ];
}

export interface Predicted {
  readonly image: RgbImage;
  /** Both [height, width], training ids. */
  readonly prediction: Uint8Array;
  readonly truth: Uint8Array | null;
}

/** The PNG of an `overlay` with a legend of its classes and their shares. */
export function drawOverlay(
  blended: RgbImage,
  prediction: Uint8Array,
  { classes, palette }: Pick<Dataset, 'classes' | 'palette'>,
): Promise<Buffer> {
  const legend = presentClasses(prediction, classes).map(({ id, name, share }) => ({
    colour: palette[id]!,
    text: `${name}: ${formatPixelShare(share)}`,
  }));
  return drawSheet([{ title: null, image: blended }], 1, legend);
}

/** @throws UserError if a file cannot be written. */
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
  await writeFileAtomic(files.overlay, await drawOverlay(blended, prediction, { classes, palette }));
  if (files.comparison === null || truth === null) return;
  const confusion = new ConfusionMatrix(classes.length);
  confusion.add(prediction, truth);
  const panels = [
    { title: 'image', image },
    { title: 'ground truth', image: overlay(image, truth, palette, opacity) },
    { title: 'prediction', image: blended },
    { title: 'errors (red; black: not labelled)', image: errorMap(image, prediction, truth) },
  ];
  const figures = comparisonLegend(confusion, { classes, palette });
  await writeFileAtomic(files.comparison, await drawSheet(panels, 2, figures));
}
