import path from 'node:path';
import { decodeLabelImage, decodePalette, decodeRgb, readImageSize } from '../../data/decode.js';
import type { Palette, RgbImage, Size } from '../../data/image.js';
import { distinctLabels } from '../../data/label-inventory.js';
import { UserError } from '../../support/errors.js';
import { type Pause, pauses } from '../../support/pauses.js';
import type { PairGroup } from './pairs.js';

/** Most pairs that are decoded: enough to see the values of the labels, and soon done. */
export const MOST_DECODED = 1000;

/** More colours than classes can have: the labels are photographs, or were compressed or smoothed. */
export const TOO_MANY_COLOURS = 256;

/** What the labels of a data set hold. */
export interface Survey {
  /** Size of every image, with how many images have it. */
  readonly sizes: readonly { readonly size: Size; readonly images: number }[];
  /** Values of grey and palette label maps, ascending. */
  readonly values: readonly number[];
  /** Colours of the first palette, by value; empty if no label map has one. */
  readonly palette: Palette;
  /** Colours of RGB label maps, ascending; at most `TOO_MANY_COLOURS`. */
  readonly colours: Palette;
  /** How many label maps of each kind were decoded. */
  readonly decoded: { readonly values: number; readonly colours: number };
  /** Sentences about files that cannot be read, and labels of another size than their image. */
  readonly problems: readonly string[];
}

interface SurveyOptions {
  readonly imageFolder: string;
  readonly labelFolder: string;
  readonly groups: readonly PairGroup[];
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

interface Pair {
  readonly image: string;
  readonly label: string;
}

/** Collects what label maps hold. */
class Contents {
  readonly values = new Set<number>();
  readonly colours = new Set<number>();
  readonly decoded = { values: 0, colours: 0 };
  palette: Palette = [];

  async add(file: string): Promise<Size> {
    const read = await decodeLabelImage(file);
    if (read.kind === 'values') {
      if (this.palette.length === 0) this.palette = await decodePalette(file);
      for (const value of distinctLabels(read.labels)) this.values.add(value);
      this.decoded.values++;
      return read.labels;
    }
    this.addColours(read.image);
    this.decoded.colours++;
    return read.image;
  }

  private addColours({ data }: RgbImage): void {
    let last = -1;
    for (let i = 0; i < data.length && this.colours.size < TOO_MANY_COLOURS; i += 3) {
      const colour = (data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!;
      if (colour !== last) this.colours.add(colour);
      last = colour;
    }
  }
}

/** Whether the pair of this index is decoded: evenly spread ones of many. */
function isDecoded(index: number, total: number): boolean {
  return Math.floor((index * MOST_DECODED) / total) !== Math.floor(((index - 1) * MOST_DECODED) / total);
}

/** What was read of a file, or what is wrong with it: a sentence. */
async function orProblem<Result>(reading: Promise<Result>): Promise<Result | string> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  }
}

/** The size of a pair, or what is wrong with its image, its label, or both. */
async function surveyPair({ image, label }: Pair, contents: Contents, decodes: boolean): Promise<Size | string[]> {
  const size = await orProblem<Size>(decodes ? decodeRgb(image) : readImageSize(image));
  const ofLabel = decodes ? await orProblem(contents.add(label)) : size;
  if (typeof size === 'string' || typeof ofLabel === 'string') {
    return [...new Set([size, ofLabel])].filter((one) => typeof one === 'string');
  }
  // Without the pixels, which would stay in memory.
  const { height, width } = size;
  if (ofLabel.height === height && ofLabel.width === width) return { height, width };
  return [`${label} is ${ofLabel.width}×${ofLabel.height} pixels, but its image ${width}×${height}.`];
}

/**
 * Reads the sizes of all images, and decodes at most `MOST_DECODED` pairs: the pixels of images and the values or colours of labels.
 * @throws InterruptedError when the signal is aborted.
 */
export async function surveyPairs({
  imageFolder,
  labelFolder,
  groups,
  signal,
  onProgress,
}: SurveyOptions): Promise<Survey> {
  const pairs: Pair[] = groups.flatMap(({ imageSuffix, labelSuffix, names }) =>
    names.map((name) => ({
      image: path.join(imageFolder, name + imageSuffix),
      label: path.join(labelFolder, name + labelSuffix),
    })),
  );
  const pause: Pause = pauses({ signal, message: 'Interrupted before anything was written.' });
  const contents = new Contents();
  const sizes = new Map<string, { readonly size: Size; images: number }>();
  const problems: string[] = [];
  for (const [index, pair] of pairs.entries()) {
    await pause();
    const found = await surveyPair(pair, contents, isDecoded(index, pairs.length));
    if (Array.isArray(found)) {
      problems.push(...found);
    } else {
      const key = `${found.width}×${found.height}`;
      const known = sizes.get(key) ?? { size: found, images: 0 };
      known.images++;
      sizes.set(key, known);
    }
    onProgress(index + 1, pairs.length);
  }
  const { values, colours, palette, decoded } = contents;
  const ascending = (numbers: ReadonlySet<number>) => [...numbers].sort((a, b) => a - b);
  return {
    sizes: [...sizes.values()].sort((a, b) => b.images - a.images),
    values: ascending(values),
    palette,
    colours: ascending(colours).map((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]),
    decoded,
    problems,
  };
}
