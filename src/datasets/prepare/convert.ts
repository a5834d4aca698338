import type { LabelMap, Palette, Size } from '../../data/image.js';
import { PngError, readIndices } from '../../data/png-read.js';
import { encodePalettePng, encodePng } from '../../data/png-write.js';
import {
  type ContextRegion,
  fromContextMap,
  fromContextRegions,
  fromLabelIds,
  fromPolygons,
  LabelError,
  placeOf,
  UnknownLabelError,
} from './labels.js';
import { MatlabContentError, MatlabError, MatlabVersionError, readMatlab, toLabelMap } from './matlab-read.js';
import type { FileConversion } from './recipe.js';
import { FETCH_AGAIN } from './source.js';

/** Label of pixels without a class, along the outlines of VOC's objects: VOC 2012's development kit, "Segmentation". */
const VOID = 255;

const grey = (map: LabelMap) => encodePng(map.data, map, { colourType: 'grey', filter: 'none', level: 6 });

/** The label map in an SBD file: struct GTcls, field Segmentation. */
function fromSbd(bytes: Buffer, classes: number): LabelMap {
  const root = readMatlab(bytes).get('GTcls');
  if (root?.kind !== 'struct') throw new MatlabContentError('it has no struct GTcls');
  const { height, width, data } = toLabelMap(root.fields.get('Segmentation')?.[0], 'the field Segmentation of GTcls');
  const wrong = data.findIndex((label) => label >= classes && label !== VOID);
  if (wrong >= 0) {
    const where = placeOf(wrong, width);
    throw new UnknownLabelError(
      `the label ${data[wrong]} at ${where} is not a class (0 to ${classes - 1}, or ${VOID})`,
    );
  }
  return { height, width, data: Uint8Array.from(data) };
}

/**
 * Converts a file of a download into a file of the data set.
 * @throws LabelError, MatlabError or PngError if the file cannot be converted.
 */
export async function convert(conversion: FileConversion, bytes: Buffer, palette: Palette): Promise<Uint8Array> {
  switch (conversion) {
    case 'copy':
      return bytes;
    case 'cityscapes-label-ids':
      return grey(fromLabelIds(readIndices(bytes)));
    case 'cityscapes-polygons':
      return grey(fromPolygons(bytes.toString('utf8')));
    case 'sbd-segmentation': {
      const map = fromSbd(bytes, palette.length);
      return encodePalettePng(map.data, map.width, map.height, palette);
    }
    case 'context-map':
      return grey(fromContextMap(toLabelMap(readMatlab(bytes).get('LabelMap'), 'the variable LabelMap')));
    case 'context-regions': {
      const image = JSON.parse(bytes.toString('utf8')) as Size & { readonly regions: readonly ContextRegion[] };
      return grey(fromContextRegions(image, image.regions));
    }
  }
}

/** Whether `convert` failed because of the file. */
export function isFileAtFault(error: unknown): error is Error {
  return error instanceof LabelError || error instanceof MatlabError || error instanceof PngError;
}

/** What a user can do about a file that cannot be converted: to fetch it again only helps if it is damaged. */
export function remedyOf(error: Error): string {
  if (error instanceof MatlabVersionError) {
    return 'Open it in MATLAB and save it with -v7, or fetch the files that docs/datasets.md names, then run the same command again.';
  }
  if (error instanceof MatlabContentError || error instanceof UnknownLabelError) {
    return 'It is from another release or was changed: fetch what docs/datasets.md names, then run the same command again.';
  }
  return FETCH_AGAIN;
}
