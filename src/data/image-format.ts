/** Bytes that a file of a format has at a position. */
interface Signature {
  readonly at: number;
  readonly bytes: string;
}

const starting = (bytes: string): Signature => ({ at: 0, bytes });

/** How images of the formats begin that `decodeAnyRgb` reads. Each format: all of its signatures. */
const FORMATS: readonly (readonly Signature[])[] = [
  [starting('\x89PNG\r\n\x1a\n')],
  [starting('\xff\xd8\xff')],
  [starting('BM')],
  [starting('GIF8')],
  [starting('RIFF'), { at: 8, bytes: 'WEBP' }],
  [starting('II*\0')],
  [starting('MM\0*')],
  // TIFF of more than 4 GB.
  [starting('II+\0')],
  [starting('MM\0+')],
  ...['avif', 'avis', 'mif1', 'miaf'].map((brand) => [{ at: 4, bytes: `ftyp${brand}` }]),
];

/**
 * Whether bytes begin like an image of a format that `decodeAnyRgb` promises to read. The decoder itself knows more: texts, too, such as
 * SVG, of which a few bytes can ask for much work.
 */
export function beginsLikeImage(bytes: Buffer): boolean {
  const has = ({ at, bytes: expected }: Signature) => bytes.toString('latin1', at, at + expected.length) === expected;
  return FORMATS.some((signatures) => signatures.every(has));
}
