import type { Dataset } from '../data/dataset.js';
import { encodePalettePng, encodePng } from '../data/palette.js';
import { TRAINING_CLASSES } from '../datasets/generate/imitations.js';
import { LABEL_NAMES } from '../datasets/prepare/cityscapes-labels.js';
import { UserError } from '../support/errors.js';

const CLASS_NAMES = TRAINING_CLASSES.map((id) => LABEL_NAMES[id]);

/**
 * Cityscapes' server takes label ids, not training ids.
 * @throws UserError where the classes of a data set are not the 19 of Cityscapes, in their order.
 */
export function requireLabelIds({ name, classes }: Pick<Dataset, 'name' | 'classes'>): void {
  const isCityscapes = classes.length === CLASS_NAMES.length && classes.every((one, id) => one === CLASS_NAMES[id]);
  if (isCityscapes) return;
  throw new UserError(
    `--label-ids writes the label ids of Cityscapes, and the classes of ${name} are not those of Cityscapes.`,
    'Leave it out, or give a row of Cityscapes.',
  );
}

/**
 * The PNG of a prediction, [height, width] of training ids: in the classes' colours, or a grey one of Cityscapes' label ids.
 * Of the latter, the data set must be Cityscapes.
 */
export async function encodePrediction(
  prediction: Uint8Array,
  width: number,
  height: number,
  { palette }: Pick<Dataset, 'palette'>,
  labelIds: boolean,
): Promise<Buffer> {
  if (!labelIds) return encodePalettePng(prediction, width, height, palette);
  const ids = prediction.map((trainingId) => TRAINING_CLASSES[trainingId]!);
  return encodePng(ids, { height, width }, { colourType: 'grey', filter: 'none', level: 6 });
}
