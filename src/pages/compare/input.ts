import { comparedValues } from '../../recipe/backbones.js';
import { type RecipeSections, replaceValue } from '../../recipe/overrides.js';
import { loadTables, type Row } from '../../recipe/tables.js';
import { environmentEntries, hardwareName } from '../../records/environment.js';
import { type ShownFigures, shownFigures } from '../../records/last-validation.js';
import type { RunRecord } from '../../records/record.js';
import { type Figure, newestOfEachSeed, recipeKey } from '../../records/verdict.js';
import { type KnownRun, readRun } from '../../runs/catalogue.js';
import { UserError } from '../../support/errors.js';
import { weightsMarks } from '../../tables/cell.js';
import { formatGpus, type LogHeader } from '../../training-logs/header.js';
import type { PublishedLog } from '../../training-logs/read.js';
import { loggedFigures, rowOfLog, scheduleOfLog } from '../../training-logs/summary.js';
import { accuracyOverIterations, shownEvaluation } from '../runs/charts.js';

export interface CurvePoint {
  readonly iteration: number;
  /** The part of the whole schedule that is done, 0 to 1. Curves of different lengths are compared by it. */
  readonly share: number;
  readonly loss: number;
  readonly learningRate: number;
}

/** One of the two things that are compared. What its kind does not have is empty or null. */
export interface ComparisonInput {
  readonly kind: 'run' | 'row' | 'log';
  readonly label: string;
  readonly figures: Readonly<Record<Figure, number | null>>;
  /** As of `ShownFigures`. */
  readonly validation: ShownFigures['validation'];
  /** Length of the schedule; null if unknown. */
  readonly iterations: number | null;
  /** Ordered by iteration; every loss is finite. */
  readonly curve: readonly CurvePoint[];
  /** mIoU in percent. */
  readonly accuracy: readonly { readonly iteration: number; readonly mIoU: number }[];
  /** IoU of each class, percent. */
  readonly classes: ReadonlyMap<string, number>;
  readonly recipe: ReadonlyMap<string, unknown> | null;
  readonly environment: ReadonlyMap<string, string> | null;
  /** What memory and fps were measured on (for a row: as its table names it); null if unknown. */
  readonly hardware: string | null;
  /** Whether the evaluated weights were given to the run instead of trained by it. */
  readonly givenWeights: boolean;
  /** The run that trained given weights, and the iteration; absent if they were not given as a run's. */
  readonly weightsOf?: string;
  /** The row itself, or the row of a log; null if a log does not say. */
  readonly row: Row | null;
  /** Records of the same recipe on the same data: the newest of each seed. The run's own is among them. */
  readonly seeds: readonly RunRecord[];
  readonly run: KnownRun | null;
  readonly log: PublishedLog | null;
}

const EMPTY: Omit<ComparisonInput, 'kind' | 'label'> = {
  figures: { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null },
  validation: null,
  iterations: null,
  curve: [],
  accuracy: [],
  classes: new Map(),
  recipe: null,
  environment: null,
  hardware: null,
  givenWeights: false,
  row: null,
  seeds: [],
  run: null,
  log: null,
};

function curveOf(lines: readonly Omit<CurvePoint, 'share'>[], iterations: number): CurvePoint[] {
  return lines
    .filter(({ loss }) => Number.isFinite(loss))
    .map(({ iteration, loss, learningRate }) => ({ iteration, share: iteration / iterations, loss, learningRate }));
}

function environmentOfRun({ environment, record, experiment }: KnownRun): Map<string, string> {
  const entries = new Map([...environmentEntries(environment), ['seed', String(experiment.seed)]]);
  if (record === null) return entries;
  const { code, dataset, weights } = record;
  return entries
    .set('fcn', `${code.version}${code.commit === null ? '' : ` ${code.commit.slice(0, 12)}`}`)
    .set('data', dataset === null ? 'none' : `${dataset.id} ${dataset.fingerprint.slice(0, 12)}`)
    .set('weights', weights?.source ?? 'none')
    .set('stages', record.stages.map(({ stage }) => stage).join(', ') || 'none');
}

/** @param all Every known run: evaluations of its checkpoints and other seeds are taken from them. */
export function inputOfRun(run: KnownRun, all: readonly KnownRun[]): ComparisonInput {
  const { experiment, record, environment } = run;
  const evaluation = shownEvaluation(run);
  const key = record === null ? null : recipeKey(record);
  const weights = weightsMarks(record);
  const ofRun = weights.weightsOf === undefined ? '' : `, weights of ${weights.weightsOf}`;
  const sameRecipe = all
    .flatMap((known) => known.record ?? [])
    .filter((known) => known.exitReason === 'completed' && key !== null && recipeKey(known) === key);
  return {
    ...EMPTY,
    kind: 'run',
    label: `${experiment.row} ${run.id} (${experiment.profile}, seed ${experiment.seed}, ${run.state}${ofRun})`,
    ...shownFigures(record, run.validation),
    iterations: experiment.training.iterations,
    curve: curveOf(run.log, experiment.training.iterations),
    accuracy: accuracyOverIterations(run, all).map(({ iteration, mIoU }) => ({ iteration, mIoU: mIoU * 100 })),
    classes: new Map(evaluation?.perClass.flatMap(({ name, iou }) => (iou === null ? [] : [[name, iou * 100]]))),
    recipe: comparedValues(experiment),
    environment: environmentOfRun(run),
    hardware: hardwareName(environment),
    ...weights,
    seeds: newestOfEachSeed(sameRecipe),
    run,
  };
}

/** A row with its published figures. */
export function inputOfRow(row: Row): ComparisonInput {
  const { id, recipe, published, table } = row;
  return {
    ...EMPTY,
    kind: 'row',
    label: `${id} as published (${table.name})`,
    figures: published,
    iterations: recipe.training.iterations,
    recipe: comparedValues(recipe),
    hardware: table.hardware?.name ?? null,
    row,
  };
}

/**
 * The row of a run that no file of the package has, as its own experiment file had it: the run's recipe without its deviations.
 * Without a record they are unknown, and so is the recipe.
 */
export function inputOfOwnRow({ experiment, record }: KnownRun): ComparisonInput {
  const recipe = record?.deviations.reduce<RecipeSections>(
    (changed, { path, published }) => replaceValue(changed, path, published),
    experiment,
  );
  return {
    ...EMPTY,
    kind: 'row',
    label: `${experiment.row} as its experiment file had it`,
    figures: experiment.published,
    iterations: experiment.training.iterations,
    recipe: recipe === undefined ? null : comparedValues(recipe),
  };
}

/** Engine and machine from a log's header, under the names that a run uses. */
function environmentOfLog({ environment, gpu, seed }: LogHeader): Map<string, string> | null {
  const entries = new Map<string, string>();
  for (const [key, value] of environment) {
    if (key === 'PyTorch') entries.set('engine', `PyTorch ${value}`);
    else if (!key.startsWith('GPU ')) entries.set(key === 'sys.platform' ? 'system' : key, value);
  }
  if (gpu !== null) entries.set('GPUs', formatGpus(gpu));
  if (seed !== null) entries.set('seed', String(seed));
  return entries.size === 0 ? null : entries;
}

/**
 * A published log. Its recipe is that of its row, changed to the values that the log states. Its schedule ends at its last line if
 * neither says more. It has no curve if too many of its lines could not be placed.
 * @param file Its published name says which row it belongs to.
 */
export function inputOfLog(log: PublishedLog, file: string): ComparisonInput {
  const { header, train, validation, reading } = log;
  const row = rowOfLog(header, file, loadTables());
  const iterations = scheduleOfLog(log, row);
  const drawn = reading.noCurve === null;
  const perClass = [...(validation.at(-1)?.perClass ?? [])];
  return {
    ...EMPTY,
    kind: 'log',
    label: file,
    figures: { ...EMPTY.figures, ...loggedFigures(log) },
    iterations,
    curve: drawn ? curveOf(train, iterations) : [],
    accuracy: (drawn ? validation : []).flatMap(({ iteration, mIoU }) =>
      Number.isNaN(mIoU) ? [] : [{ iteration, mIoU: mIoU * 100 }],
    ),
    classes: new Map(perClass.flatMap(([name, iou]) => (Number.isNaN(iou) ? [] : [[name, iou * 100]]))),
    recipe: row === null ? null : new Map([...comparedValues(row.recipe), ...header.recipe]),
    environment: environmentOfLog(header),
    hardware: header.gpu?.name ?? null,
    row,
    log,
  };
}

/** The row's id; null for a log that does not say. */
export function rowIdOf({ run, row }: ComparisonInput): string | null {
  return run?.experiment.row ?? row?.id ?? null;
}

/** Reads a run's directory again. @throws UserError if it has none. */
export async function rereadRun({
  run,
  label,
}: ComparisonInput): Promise<ComparisonInput & { readonly run: KnownRun }> {
  if (!run?.directory)
    throw new UserError(`${label} has no run directory: there is nothing to follow.`, 'Name a run under --runs.');
  const now = await readRun(run.directory);
  return { ...inputOfRun(now, []), run: now };
}
