import type { RgbImage } from './image.js';

/** An RGB image as a JPEG of full colour resolution. Runs in workers and in the main thread. */
export async function encodeJpeg({ data, height, width }: RgbImage, quality: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4' })
    .toBuffer();
}
