import type { Dataset } from '../data/dataset.js';
import { encodePalettePng, encodePng } from '../data/png-write.js';
import { TRAINING_CLASSES } from '../datasets/generate/imitations.js';
import { LABEL_NAMES } from '../datasets/prepare/labels.js';
import { UserError } from '../support/errors.js';

const CLASS_NAMES = TRAINING_CLASSES.map((id) => LABEL_NAMES[id]);

/**
 * Checks that predictions can be written as the label ids that the Cityscapes server takes.
 * @throws UserError unless the classes of a data set are the 19 of Cityscapes, in their order.
 */
export function requireLabelIds({ name, classes }: Pick<Dataset, 'name' | 'classes'>): void {
  if (classes.length === CLASS_NAMES.length && classes.every((one, id) => one === CLASS_NAMES[id])) return;
  throw new UserError(
    `--label-ids writes the label ids of Cityscapes, and the classes of ${name} are not those of Cityscapes.`,
    'Leave it out, or give a row of Cityscapes.',
  );
}

/**
 * The PNG of a prediction, [height, width] of training ids: a palette of the classes' colours, or grey label ids of Cityscapes
 * (see `requireLabelIds`).
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
