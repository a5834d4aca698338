import { type ClassLayout, classLines, type EvaluatedClasses } from '../evaluation/class-figures.js';
import type { RunRecord } from './record.js';

type EvaluationStage = 'evaluate' | 'evaluate-ms';

/** The evaluation of a run whose classes are shown. */
export interface ClassEvaluation extends EvaluatedClasses {
  readonly stage: EvaluationStage;
}

const TITLES: Readonly<Record<EvaluationStage, string>> = {
  evaluate: 'Single scale',
  'evaluate-ms': 'Multi-scale + flip',
};

/** The evaluation at a single scale if there is one, otherwise that with multi-scale + flip; null without either. */
export function classEvaluation(details: Pick<RunRecord['details'], EvaluationStage>): ClassEvaluation | null {
  const stage = details.evaluate === null ? 'evaluate-ms' : 'evaluate';
  const evaluation = details[stage];
  if (evaluation === null) return null;
  const { mIoU, mAcc, aAcc, perClass } = evaluation;
  return { stage, mIoU, mAcc, aAcc, perClass };
}

/** IoU and accuracy of each class as lines for a terminal. */
export function formatClasses(evaluation: ClassEvaluation, layout: ClassLayout): string[] {
  return classLines(TITLES[evaluation.stage], evaluation, layout);
}
