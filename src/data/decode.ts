import { readFile } from 'node:fs/promises';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import type { LabelMap, RgbImage } from './image.js';
import { PngError } from './png/chunks.js';
import { readIndices } from './png/read-indices.js';

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
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

const NEXT_IMAGE = 'Replace the file with an intact JPEG or PNG.';

/** libpng reads no further than the last pixel; a PNG that ends before its end chunk is refused nevertheless. */
function endsEarly(format: string, bytes: Buffer): boolean {
  if (format !== 'png') return false;
  const end = bytes.lastIndexOf('IEND');
  return end < 0 || end + 8 > bytes.length;
}

/**
 * Decodes a JPEG or PNG to RGB bytes exactly as OpenCV's `imread` does: EXIF orientation applied, colour profiles
 * ignored, grey repeated, alpha dropped, 16 bits cut to the higher 8.
 * @throws UserError naming the file where it is missing, truncated, damaged, or no JPEG or PNG.
 */
export async function decodeRgb(file: string): Promise<RgbImage> {
  const bytes = await readBytes(file);
  const sharp = await loadSharp();
  let decoded: { data: Buffer; info: { width: number; height: number; channels: number } };
  try {
    // "error" fails on truncated and undecodable data, but not on the oddities that libjpeg only warns of.
    const input = sharp(bytes, { ignoreIcc: true, failOn: 'error' });
    const { format, space } = await input.metadata();
    if (format !== 'jpeg' && format !== 'png') throw new Error(`a ${format} image, expected JPEG or PNG`);
    if (space === 'cmyk') throw new Error('a CMYK image, expected RGB or grey');
    if (endsEarly(format, bytes)) throw new Error('truncated');
    decoded = await input.autoOrient().raw().toBuffer({ resolveWithObject: true });
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0];
    throw new UserError(`${file}: the image cannot be decoded: ${reason}.`, NEXT_IMAGE, { cause: error });
  }
  const { data, info } = decoded;
  const { width, height, channels } = info;
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
 * Decodes a label PNG to its raw values: 8-bit grey values, or palette indices. EXIF orientation is *not* applied.
 * @throws UserError naming the file where it is missing, truncated, damaged, or another kind of image.
 */
export async function decodeLabels(file: string): Promise<LabelMap> {
  const bytes = await readBytes(file);
  try {
    return readIndices(bytes);
  } catch (error) {
    if (!(error instanceof PngError)) throw error;
    throw new UserError(
      `${file}: the label map cannot be decoded: ${error.message}.`,
      'Replace the file with an intact 8-bit grey or palette PNG of class ids.',
      { cause: error },
    );
  }
}
