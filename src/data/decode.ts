import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { decodeBmp } from './bmp.js';
import { BMP_HEADER_BYTES, BmpError, isBmp, readBmpSize } from './bmp-header.js';
import { readBytes, readStart } from './files.js';
import type { LabelMap, Palette, RgbImage, Size } from './image.js';
import {
  type LabelImage,
  PNG_HEADER_BYTES,
  PngError,
  readIndices,
  readLabelImage,
  readLabelImageSize,
  readPalette,
} from './png-read.js';
import { openWorkspace } from './simd/open-workspace.js';
import { decodeWhole, findImage, findLabels, type StoredPixels } from './simd/png.js';

/** Loads sharp without its cache (no image is decoded twice in a row) and with one thread an image (there are workers). */
async function loadSharp() {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
}

type Sharp = ReturnType<Awaited<ReturnType<typeof loadSharp>>>;

/** Pixels, [height, width, channels]. */
interface Decoded {
  readonly data: Buffer;
  readonly info: Size & { readonly channels: number };
}

/** @throws Error if the image is neither JPEG nor PNG. */
async function readMetadata(input: Sharp) {
  const metadata = await input.metadata();
  const { format } = metadata;
  if (format !== 'jpeg' && format !== 'png') throw new Error(`a ${format} image, expected JPEG, PNG or BMP`);
  return metadata;
}

/** What `decodeAnyRgb` reads. */
export const ANY_FORMAT = 'JPEG, PNG, BMP, WebP, TIFF, AVIF or GIF';

function undecodableImage(file: string, error: unknown, formats = 'JPEG, PNG or BMP'): UserError {
  const reason = (error as Error).message.split('\n', 1)[0]!;
  return new UserError(
    `${file}: the image cannot be decoded: ${endSentence(reason)}`,
    `Replace the file with an intact ${formats} image.`,
    { cause: error },
  );
}

/** Runs a decoder. Its error becomes one that names the file. */
function decode<Result>(file: string, decoder: () => Result): Result {
  try {
    return decoder();
  } catch (error) {
    if (error instanceof BmpError) throw undecodableImage(file, error);
    if (!(error instanceof PngError)) throw error;
    throw new UserError(
      `${file}: the label map cannot be decoded: ${endSentence(error.message)}`,
      'Replace the file with an intact PNG of class ids (grey or with a palette) or of the colours of the classes.',
      { cause: error },
    );
  }
}

/** Whether a PNG ends before its end chunk. libpng reads no further than the last pixel and does not notice. */
function isTruncatedPng(format: string, bytes: Buffer): boolean {
  if (format !== 'png') return false;
  const end = bytes.lastIndexOf('IEND');
  return end < 0 || end + 8 > bytes.length;
}

/** Makes RGB of inks, [height, width, 4], as OpenCV does: from their complements, whatever the file's profile says. */
function inksToRgb({ data, info: { width, height } }: Decoded): RgbImage {
  const rgb = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const paper = 255 - data[from + 3]!;
    for (let ink = 0; ink < 3; ink++) rgb[to + ink] = paper - ((data[from + ink]! * paper) >> 8);
  }
  return { height, width, data: rgb };
}

/** Repeats grey, drops alpha. */
function toRgb({ data, info: { width, height, channels } }: Decoded): RgbImage {
  if (channels === 3) return { height, width, data };
  const rgb = new Uint8Array(height * width * 3);
  // One or two channels are grey and perhaps alpha, four are RGB and alpha.
  const green = channels > 2 ? 1 : 0;
  const blue = channels > 2 ? 2 : 0;
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + green]!;
    rgb[to + 2] = data[from + blue]!;
  }
  return { height, width, data: rgb };
}

/** Decodes pixels that the pixel code reads; null if it cannot. */
function decodeStored(stored: StoredPixels | null): Uint8Array | null {
  const workspace = stored && openWorkspace();
  return workspace && decodeWhole(workspace, stored);
}

/** Like `decodeRgb`, from the file's bytes. */
export async function decodeRgbBytes(file: string, bytes: Buffer): Promise<RgbImage> {
  if (isBmp(bytes)) return decode(file, () => decodeBmp(bytes));
  const stored = findImage(bytes);
  const data = decodeStored(stored);
  if (data !== null) return { height: stored!.height, width: stored!.width, data };
  const sharp = await loadSharp();
  try {
    // "error" fails on truncated and undecodable data, but not on what libjpeg only warns about.
    const input = sharp(bytes, { ignoreIcc: true, failOn: 'error' });
    const { format, space } = await readMetadata(input);
    if (isTruncatedPng(format, bytes)) throw new Error('truncated');
    if (space !== 'cmyk') return toRgb(await input.autoOrient().raw().toBuffer({ resolveWithObject: true }));
    const inks = input.autoOrient().pipelineColourspace('cmyk').toColourspace('cmyk').raw();
    return inksToRgb(await inks.toBuffer({ resolveWithObject: true }));
  } catch (error) {
    throw undecodableImage(file, error);
  }
}

/**
 * Decodes a JPEG, PNG or BMP to RGB bytes exactly as OpenCV's `imread` does: EXIF orientation applied, colour profiles
 * ignored, grey repeated, alpha dropped, 16 bits cut to the higher 8, inks (CMYK and YCCK) multiplied without a profile.
 * @throws UserError naming the file if it is missing, truncated, damaged, or of another format.
 */
export async function decodeRgb(file: string): Promise<RgbImage> {
  return decodeRgbBytes(file, await readBytes(file));
}

/**
 * Decodes a JPEG, PNG or BMP as `decodeRgb` does, and any other image that sharp reads (WebP, TIFF, AVIF, GIF; the first page) to
 * sRGB of 8 bits, with EXIF orientation applied and alpha dropped.
 * @throws UserError naming the file if it is missing, damaged, or not an image.
 */
export async function decodeAnyRgb(file: string): Promise<RgbImage> {
  return decodeAnyRgbBytes(file, await readBytes(file));
}

/** Like `decodeAnyRgb`, from the file's bytes. */
export async function decodeAnyRgbBytes(file: string, bytes: Buffer): Promise<RgbImage> {
  if (isBmp(bytes)) return decodeRgbBytes(file, bytes);
  const sharp = await loadSharp();
  try {
    const input = sharp(bytes, { failOn: 'error' });
    const { format } = await input.metadata();
    if (format === 'jpeg' || format === 'png') return await decodeRgbBytes(file, bytes);
    const raw = input.autoOrient().toColourspace('srgb').removeAlpha().raw({ depth: 'uchar' });
    return toRgb(await raw.toBuffer({ resolveWithObject: true }));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw undecodableImage(file, error, ANY_FORMAT);
  }
}

/**
 * The size that `decodeAnyRgb` would give, or that size turned, from the header of an image alone, however large it says it is.
 * @param file What errors call the image.
 * @throws UserError if its header is damaged or not that of an image.
 */
export async function readAnyImageSize(file: string, bytes: Buffer): Promise<Size> {
  if (isBmp(bytes)) return decode(file, () => readBmpSize(bytes.subarray(0, BMP_HEADER_BYTES)));
  const sharp = await loadSharp();
  try {
    const { height, width } = await sharp(bytes, { failOn: 'error', limitInputPixels: false }).metadata();
    return { height, width };
  } catch (error) {
    throw undecodableImage(file, error, ANY_FORMAT);
  }
}

/**
 * The size that `decodeRgb` would give, from the file's header alone.
 * @throws UserError naming the file if it is missing or its header is not that of a JPEG, PNG or BMP.
 */
export async function readImageSize(file: string): Promise<Size> {
  // Also gives a better message than sharp if the file cannot be read.
  const start = await readStart(file, BMP_HEADER_BYTES);
  if (isBmp(start)) return decode(file, () => readBmpSize(start));
  const sharp = await loadSharp();
  try {
    const { autoOrient } = await readMetadata(sharp(file, { ignoreIcc: true, failOn: 'error' }));
    return { height: autoOrient.height, width: autoOrient.width };
  } catch (error) {
    throw undecodableImage(file, error);
  }
}

/**
 * Decodes a label PNG: grey values, palette indices, or colours. EXIF orientation is *not* applied.
 * @throws UserError naming the file if it is missing, truncated, damaged, or another kind of image.
 */
export async function decodeLabelImage(file: string): Promise<LabelImage> {
  return decodeLabelBytes(file, await readBytes(file));
}

/** Like `decodeLabelImage`, from the file's bytes. */
export function decodeLabelBytes(file: string, bytes: Buffer): LabelImage {
  const stored = findLabels(bytes);
  const data = decodeStored(stored);
  if (data !== null) return { kind: 'values', labels: { height: stored!.height, width: stored!.width, data } };
  return decode(file, () => readLabelImage(bytes));
}

/** The colours of a palette PNG, by index; empty if it has none. @throws UserError like `decodeLabelImage`. */
export async function decodePalette(file: string): Promise<Palette> {
  const bytes = await readBytes(file);
  return decode(file, () => readPalette(bytes));
}

/** Like `decodeLabelImage`, but refuses colours. */
export async function decodeLabels(file: string): Promise<LabelMap> {
  const bytes = await readBytes(file);
  return decode(file, () => readIndices(bytes));
}

/**
 * Size of a label PNG, from its header alone.
 * @throws UserError naming the file if it is missing or its header is not that of a label map.
 */
export async function readLabelSize(file: string): Promise<Size> {
  const bytes = await readStart(file, PNG_HEADER_BYTES);
  return decode(file, () => readLabelImageSize(bytes));
}

/** An RGB image as a JPEG of full colour resolution. Runs in workers and in the main thread. */
export async function encodeJpeg({ data, height, width }: RgbImage, quality: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4' })
    .toBuffer();
}
