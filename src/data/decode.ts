import { open, readFile } from 'node:fs/promises';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { endSentence } from '../support/format.js';
import { BMP_HEADER_BYTES, BmpError, decodeBmp, isBmp, readBmpSize } from './bmp.js';
import type { LabelMap, RgbImage, Size } from './image.js';
import {
  HEADER_BYTES,
  type LabelImage,
  PngError,
  readIndices,
  readLabelImage,
  readLabelImageSize,
} from './png-read.js';

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

/** At most the first `length` bytes of a file. */
async function readStart(file: string, length: number): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

/** sharp, without its cache of operations (no image is decoded twice in a row) and one thread an image (there are workers). */
async function loadSharp() {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
}

/** Pixels, [height, width, channels]. */
interface Decoded {
  readonly data: Buffer;
  readonly info: Size & { readonly channels: number };
}

const NEXT_IMAGE = 'Replace the file with an intact JPEG, PNG or BMP.';

type Sharp = ReturnType<Awaited<ReturnType<typeof loadSharp>>>;

/** What the header says of an image that is decoded here; throws for any other. */
async function readMetadata(input: Sharp) {
  const metadata = await input.metadata();
  const { format } = metadata;
  if (format !== 'jpeg' && format !== 'png') throw new Error(`a ${format} image, expected JPEG, PNG or BMP`);
  return metadata;
}

function undecodable(file: string, error: unknown): UserError {
  const reason = (error as Error).message.split('\n', 1)[0]!;
  return new UserError(`${file}: the image cannot be decoded: ${endSentence(reason)}`, NEXT_IMAGE, { cause: error });
}

/** libpng reads no further than the last pixel; a PNG that ends before its end chunk is refused nevertheless. */
function endsEarly(format: string, bytes: Buffer): boolean {
  if (format !== 'png') return false;
  const end = bytes.lastIndexOf('IEND');
  return end < 0 || end + 8 > bytes.length;
}

/** Pixels of inks, [height, width, 4], as OpenCV makes RGB of them: by their complements, whatever the file says of itself. */
function inksToRgb({ data, info: { width, height } }: Decoded): RgbImage {
  const rgb = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const paper = 255 - data[from + 3]!;
    for (let ink = 0; ink < 3; ink++) rgb[to + ink] = paper - ((data[from + ink]! * paper) >> 8);
  }
  return { height, width, data: rgb };
}

/**
 * Decodes a JPEG, PNG or BMP to RGB bytes exactly as OpenCV's `imread` does: EXIF orientation applied, colour profiles
 * ignored, grey repeated, alpha dropped, 16 bits cut to the higher 8, inks (CMYK and YCCK) multiplied without a profile.
 * @throws UserError naming the file where it is missing, truncated, damaged, or no JPEG, PNG or BMP.
 */
export async function decodeRgb(file: string): Promise<RgbImage> {
  const bytes = await readBytes(file);
  if (isBmp(bytes)) return explainedImage(file, () => decodeBmp(bytes));
  const sharp = await loadSharp();
  try {
    // "error" fails on truncated and undecodable data, but not on the oddities that libjpeg only warns of.
    const input = sharp(bytes, { ignoreIcc: true, failOn: 'error' });
    const { format, space } = await readMetadata(input);
    if (endsEarly(format, bytes)) throw new Error('truncated');
    if (space !== 'cmyk') return toRgb(await input.autoOrient().raw().toBuffer({ resolveWithObject: true }));
    const inks = input.autoOrient().pipelineColourspace('cmyk').toColourspace('cmyk').raw();
    return inksToRgb(await inks.toBuffer({ resolveWithObject: true }));
  } catch (error) {
    throw undecodable(file, error);
  }
}

function explainedImage<Result>(file: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof BmpError) throw undecodable(file, error);
    throw error;
  }
}

/**
 * Decodes an image of any format that is read here: JPEG, PNG and BMP as `decodeRgb`, others (WebP, TIFF, AVIF, GIF, the first
 * page) to sRGB of 8 bits, EXIF orientation applied, alpha dropped.
 * @throws UserError naming the file where it is missing, damaged, or no image.
 */
export async function decodeAnyRgb(file: string): Promise<RgbImage> {
  const bytes = await readBytes(file);
  if (isBmp(bytes)) return decodeRgb(file);
  const sharp = await loadSharp();
  try {
    const input = sharp(bytes, { failOn: 'error' });
    const { format } = await input.metadata();
    if (format === 'jpeg' || format === 'png') return await decodeRgb(file);
    const raw = input.autoOrient().toColourspace('srgb').removeAlpha().raw({ depth: 'uchar' });
    return toRgb(await raw.toBuffer({ resolveWithObject: true }));
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = (error as Error).message.split('\n', 1)[0]!;
    throw new UserError(
      `${file}: the image cannot be decoded: ${endSentence(reason)}`,
      'Replace the file with an intact JPEG, PNG, BMP, WebP, TIFF, AVIF or GIF image.',
      { cause: error },
    );
  }
}

/** Grey repeated, alpha dropped. */
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

/**
 * Size that `decodeRgb` would give, by the file's header alone.
 * @throws UserError naming the file where it is missing or its header is not that of a JPEG, PNG or BMP.
 */
export async function readImageSize(file: string): Promise<Size> {
  // Only a part of it is read, but whether it can be is told better than by the decoder.
  const start = await readStart(file, BMP_HEADER_BYTES);
  if (isBmp(start)) return explainedImage(file, () => readBmpSize(start));
  const sharp = await loadSharp();
  try {
    const { autoOrient } = await readMetadata(sharp(file, { ignoreIcc: true, failOn: 'error' }));
    return { height: autoOrient.height, width: autoOrient.width };
  } catch (error) {
    throw undecodable(file, error);
  }
}

/**
 * Decodes a label PNG to what it holds: grey values or palette indices, or colours. EXIF orientation is *not* applied.
 * @throws UserError naming the file where it is missing, truncated, damaged, or another kind of image.
 */
export async function decodeLabelImage(file: string): Promise<LabelImage> {
  const bytes = await readBytes(file);
  return explained(file, () => readLabelImage(bytes));
}

/**
 * Decodes a label PNG to its raw values: grey values, or palette indices. EXIF orientation is *not* applied.
 * @throws UserError naming the file where it is missing, truncated, damaged, or another kind of image.
 */
export async function decodeLabels(file: string): Promise<LabelMap> {
  const bytes = await readBytes(file);
  return explained(file, () => readIndices(bytes));
}

/**
 * Size of a label PNG, by its header alone.
 * @throws UserError naming the file where it is missing or its header is not that of a label map.
 */
export async function readLabelSize(file: string): Promise<Size> {
  const bytes = await readStart(file, HEADER_BYTES);
  return explained(file, () => readLabelImageSize(bytes));
}

function explained<Result>(file: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PngError)) throw error;
    throw new UserError(
      `${file}: the label map cannot be decoded: ${endSentence(error.message)}`,
      'Replace the file with an intact PNG of class ids (grey or with a palette) or of the colours of the classes.',
      { cause: error },
    );
  }
}

/** An RGB image as a JPEG of full colour resolution. Runs in workers and in the main thread. */
export async function encodeJpeg({ data, height, width }: RgbImage, quality: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4' })
    .toBuffer();
}
