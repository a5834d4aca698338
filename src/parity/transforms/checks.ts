import { Collector, type Findings } from '../check.js';
import type { ReferenceFolder } from '../folder.js';
import {
  checkCategoryRule,
  checkCrop,
  checkFlip,
  checkHsv,
  checkPhotometric,
  checkResize,
  checkSizes,
  TransformReference,
} from './geometry.js';
import { checkNormalise, checkPad, checkTestViews, checkTrainingSamples, checkZeroLabel } from './samples.js';

interface Part {
  /** Of the pipeline's reference; null: lies at its top. */
  readonly folder: string | null;
  /** What lists the part's cases. */
  readonly file: string;
  /** Whether it begins with the source images. */
  readonly sources: boolean;
  readonly run: (reference: TransformReference, folder: ReferenceFolder, findings: Collector) => void | Promise<void>;
}

/** The data transforms that have a reference, by name. */
export const TRANSFORMS = {
  sizes: { folder: null, file: 'rescale_sizes.json', sources: false, run: (_, folder, out) => checkSizes(folder, out) },
  resize: { folder: 'resize', file: 'cases.json', sources: true, run: checkResize },
  crop: { folder: 'crop', file: 'cases.json', sources: true, run: checkCrop },
  'category rule': { folder: 'crop', file: 'cat_cases.json', sources: true, run: checkCategoryRule },
  flip: { folder: 'flip', file: 'cases.json', sources: true, run: checkFlip },
  HSV: { folder: 'hsv', file: 'hsv.npy', sources: false, run: (_, folder, out) => checkHsv(folder, out) },
  photometric: { folder: 'photo', file: 'cases.json', sources: true, run: checkPhotometric },
  normalise: { folder: 'normalize', file: 'cases.json', sources: false, run: checkNormalise },
  pad: { folder: 'pad', file: 'cases.json', sources: true, run: checkPad },
  'training samples': { folder: 'full', file: 'cases.json', sources: true, run: checkTrainingSamples },
  'test views': { folder: 'msflip', file: 'cases.json', sources: true, run: checkTestViews },
  'zero label': {
    folder: null,
    file: 'reduce_zero_label.json',
    sources: false,
    run: (_, folder, out) => checkZeroLabel(folder, out),
  },
} as const satisfies Record<string, Part>;

export type TransformName = keyof typeof TRANSFORMS;

/**
 * Compares data transforms with the reference in `top`, a set's `pipeline` folder.
 * @throws UserError when a file is damaged.
 */
export async function transformChecks(
  top: ReferenceFolder,
  names: readonly TransformName[] = Object.keys(TRANSFORMS) as TransformName[],
): Promise<Findings> {
  const findings = new Collector('pipeline');
  const reference = new TransformReference(top);
  for (const name of names) {
    const { folder: below, file, sources, run }: Part = TRANSFORMS[name];
    const folder = below === null ? top : top.folder(below);
    const hasSources = top.list().files.some((entry) => /^in_.*\.(png|npy)$/.test(entry));
    if (!folder.has(file) || (sources && !hasSources)) findings.missing(name);
    else await run(reference, folder, findings);
  }
  return findings;
}
