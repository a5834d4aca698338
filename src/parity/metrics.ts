import { z } from 'zod';
import { ConfusionMatrix, type Metrics, metrics } from '../evaluation/confusion.js';
import { UserError } from '../support/errors.js';
import { Collector, type Findings, largestDifference, Worst } from './check.js';
import type { ReferenceFolder } from './reference-set.js';
import { TOLERANCES } from './tolerances.js';

const areas = z.array(z.number());
const figure = z.number().nullable();

const caseSchema = z.object({
  num_classes: z.int().min(1),
  ignore_index: z.int(),
  reduce_zero_label: z.boolean(),
  /** Label value → value; for labels only. */
  label_map: z.record(z.string(), z.int()).nullable(),
  /** Replaces undefined figures, which then count in the means; null: the means leave them out. */
  nan_to_num: z.number().nullable(),
  pred: z.array(z.string()).min(1),
  gt: z.array(z.string()).min(1),
  area_v016: z.object({ intersect: areas, pred: areas, label: areas }),
  v016: z.object({ aAcc: figure, mIoU: figure, mAcc: figure, IoU: z.array(figure), Acc: z.array(figure) }),
});

type MetricsCase = z.infer<typeof caseSchema>;

const PRINTED = 'dataset_evaluate_v011';
const printedSchema = z.record(z.string(), z.object({ mIoU: z.number(), mAcc: z.number(), aAcc: z.number() }));
const metricsSchema = z
  .object({ [PRINTED]: printedSchema.optional() })
  .catchall(z.unknown())
  .readonly();

/** Compares areas and figures of label maps with a set's `metrics` folder. @throws UserError if a file is damaged. */
export function metricsChecks(folder: ReferenceFolder): Findings {
  const findings = new Collector('metrics');
  const { [PRINTED]: printed = {}, ...rest } = folder.json('metrics.json', metricsSchema);
  const cases = folder.json('metrics.json', z.record(z.string(), z.unknown()).pipe(casesOf(Object.keys(rest))));
  for (const [name, expected] of Object.entries(cases)) {
    if (![...expected.pred, ...expected.gt].every((file) => folder.has(file))) {
      findings.missing(name);
      continue;
    }
    const confusion = confusionOf(folder, name, expected);
    const counted = new Worst()
      .add(largestDifference(confusion.intersections(), expected.area_v016.intersect), 'intersections')
      .add(largestDifference(confusion.predictionAreas(), expected.area_v016.pred), 'predicted areas')
      .add(largestDifference(confusion.labelAreas(), expected.area_v016.label), 'labelled areas');
    findings.add(`${name}, areas`, TOLERANCES.areas, counted);
    const figures = metrics(confusion);
    findings.add(`${name}, figures`, TOLERANCES.figures, compareFigures(figures, expected));
    const shown = printed[name];
    if (shown === undefined) continue;
    const worst = new Worst();
    for (const key of ['mIoU', 'mAcc', 'aAcc'] as const) worst.add(figures[key] - shown[key], key);
    findings.add(`${name}, as printed`, TOLERANCES.printedFigures, worst);
  }
  return findings;
}

function casesOf(names: readonly string[]) {
  return z.object(Object.fromEntries(names.map((name) => [name, caseSchema])));
}

function confusionOf(folder: ReferenceFolder, name: string, expected: MetricsCase): ConfusionMatrix {
  if (expected.pred.length !== expected.gt.length) {
    throw new UserError(
      `${folder.path}: ${name} has ${expected.pred.length} predictions for ${expected.gt.length} labels.`,
    );
  }
  const confusion = new ConfusionMatrix(expected.num_classes, expected.ignore_index);
  expected.pred.forEach((prediction, i) => {
    confusion.add(folder.octets(prediction).data, prepared(folder.octets(expected.gt[i]!).data, expected));
  });
  return confusion;
}

/** A label after its map and zero-label reduction, which the data set's reader does in the program. */
function prepared(label: Uint8Array, { reduce_zero_label: reduce, label_map: map }: MetricsCase): Uint8Array {
  return label.map((value) => {
    const mapped = map?.[value] ?? value;
    if (!reduce) return mapped;
    return mapped === 0 || mapped === 255 ? 255 : mapped - 1;
  });
}

function compareFigures({ iou, accuracy, mIoU, mAcc, aAcc }: Metrics, expected: MetricsCase): Worst {
  const substitute = expected.nan_to_num;
  const worst = new Worst();
  /** This program's figures for an absent class are NaN, where the reference has null or the substitute. */
  const add = (actual: number, wanted: number | null, at: string) => {
    const absent = wanted === null || (substitute !== null && wanted === substitute);
    worst.add(absent ? (Number.isNaN(actual) ? 0 : Number.NaN) : actual - wanted, at);
  };
  const mean = (values: readonly number[], own: number) =>
    substitute === null
      ? own
      : values.reduce((total, value) => total + (Number.isNaN(value) ? substitute : value), 0) / values.length;
  const { v016 } = expected;
  worst.add(iou.length - v016.IoU.length, 'classes').add(accuracy.length - v016.Acc.length, 'classes');
  v016.IoU.forEach((wanted, k) => void add(iou[k] ?? Number.NaN, wanted, `IoU of class ${k}`));
  v016.Acc.forEach((wanted, k) => void add(accuracy[k] ?? Number.NaN, wanted, `accuracy of class ${k}`));
  add(aAcc, v016.aAcc, 'aAcc');
  add(mean(iou, mIoU), v016.mIoU, 'mIoU');
  add(mean(accuracy, mAcc), v016.mAcc, 'mAcc');
  return worst;
}
