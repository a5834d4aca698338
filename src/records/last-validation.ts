import type { RunRecord } from './record.js';
import type { Figure } from './verdict.js';

type Figures = RunRecord['figures'];

/** The last evaluation during a training (`--evaluate-every`): single scale, of the checkpoint of that iteration. */
export interface LastValidation {
  readonly iteration: number;
  /** Percent. */
  readonly mIoU: number;
}

/** A run's figures where they are shown alone. */
export interface ShownFigures {
  /** With the mIoU of the last validation if no stage measured one. */
  readonly figures: Figures;
  /** Set only if the mIoU is of it. */
  readonly validation: LastValidation | null;
}

/** Behind an mIoU that a validation during training measured. */
const MARK = '◊';

/**
 * The figures of a run for whoever compares runs with each other. Published tables take those of the record alone.
 * @param logged The evaluations in the run's log, fractions; newer than those of the record.
 */
export function shownFigures(
  record: Pick<RunRecord, 'figures' | 'details' | 'experiment'> | null,
  logged: readonly { readonly iteration: number; readonly mIoU: number }[] = [],
): ShownFigures {
  const figures = record?.figures ?? { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };
  if (figures.mIoU !== null) return { figures, validation: null };
  const last = logged.at(-1) ?? (record === null ? undefined : recorded(record));
  if (last === undefined || !Number.isFinite(last.mIoU)) return { figures, validation: null };
  const validation = { iteration: last.iteration, mIoU: last.mIoU * 100 };
  return { figures: { ...figures, mIoU: validation.mIoU }, validation };
}

/** Records of before `lastValidation` tell the last one only if it was the best. */
function recorded({ details: { train }, experiment }: Pick<RunRecord, 'details' | 'experiment'>) {
  const { lastValidation, bestValidation } = train ?? {};
  return lastValidation ?? (bestValidation?.iteration === experiment.training.iterations ? bestValidation : undefined);
}

export function validationMark({ validation }: Pick<ShownFigures, 'validation'>, figure: Figure): string {
  return validation !== null && figure === 'mIoU' ? MARK : '';
}

/** The meaning of the mark, if some figures have it. */
export function validationNotes(shown: readonly Pick<ShownFigures, 'validation'>[]): string[] {
  const iterations = new Set(shown.flatMap(({ validation }) => validation?.iteration ?? []));
  if (iterations.size === 0) return [];
  const after = iterations.size === 1 ? `, after iteration ${[...iterations][0]}` : '';
  return [`${MARK} Of the last checkpoint evaluated during training (--evaluate-every)${after}: single scale.`];
}
