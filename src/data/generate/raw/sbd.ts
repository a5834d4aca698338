import type { LabelMap } from '../../image.js';
import { labelMatrix, writeMatlab } from './matlab.js';

/** Label of pixels along outlines, which are of no class. */
const VOID = 255;

/**
 * A label map as SBD publishes it: a struct GTcls of outlines (a cell a class, here without any), the label map, and the
 * classes that occur.
 * @param classes Classes with background, which is 0.
 */
export function sbdFileOf(map: LabelMap, classes: number): Buffer {
  const present = [...new Set(map.data)].filter((id) => id !== 0 && id !== VOID).sort((a, b) => a - b);
  const empty = { numbers: [], type: 'float64', dimensions: [0, 0] } as const;
  const outlines = Array.from({ length: classes - 1 }, () => empty);
  const root = {
    Boundaries: { cells: outlines, dimensions: [outlines.length, 1] },
    Segmentation: labelMatrix(map, 'uint8'),
    CategoriesPresent: { numbers: present, type: 'float64', dimensions: [present.length, 1] },
  } as const;
  return writeMatlab({ GTcls: { struct: root } }, { compressed: true, small: true });
}
