import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { valuesOf } from '../../recipe/overrides.js';
import { loadTables, type Row, type Table } from '../../recipe/tables.js';
import { environmentEntries, hardwareName } from '../../records/environment.js';
import { FIGURES, type Figure, newestOfEachSeed, recipeKey } from '../../records/figures.js';
import type { RunRecord } from '../../records/record.js';
import { type KnownRun, type RunCatalogue, readRun } from '../../runs/catalogue.js';
import { LOG_FILE } from '../../runs/log.js';
import { UserError } from '../../support/errors.js';
import { formatDownload } from '../../support/format.js';
import { type DisplayMode, showStages } from '../../terminal/display.js';
import { fetchPublishedLog } from '../../training-logs/fetch.js';
import { formatGpus, type LogHeader } from '../../training-logs/header.js';
import { type PublishedLog, parsePublishedLog, readPublishedLog } from '../../training-logs/read.js';
import { loggedFigures, rowOfLog, scheduleOfLog } from '../../training-logs/summary.js';
import { readLogText } from '../../training-logs/text.js';
import { accuracyOverIterations, shownEvaluation } from '../runs/charts.js';
import type { CurvePoint } from './significance.js';

/** One of the two that are compared. What a kind of side does not have is empty or null. */
export interface Side {
  readonly kind: 'run' | 'row' | 'log';
  readonly label: string;
  readonly figures: Readonly<Record<Figure, number | null>>;
  /** Of the whole schedule; null where it is not known. */
  readonly iterations: number | null;
  readonly curve: readonly CurvePoint[];
  /** mIoU in percent, where it was measured. */
  readonly accuracy: readonly { readonly iteration: number; readonly mIoU: number }[];
  /** IoU of each class, percent. */
  readonly classes: ReadonlyMap<string, number>;
  readonly recipe: ReadonlyMap<string, unknown> | null;
  readonly environment: ReadonlyMap<string, string> | null;
  /** What memory and fps were measured on; of a row, as its table names it; null where it is not said. */
  readonly hardware: string | null;
  /** True where the evaluated weights were given to the run, not trained by it. */
  readonly givenWeights: boolean;
  /** Of a row or a log: the row; null where nothing says which. */
  readonly row: Row | null;
  /** Records of the same recipe on the same data, the newest of each seed; the side's own among them. */
  readonly seeds: readonly RunRecord[];
  readonly run: KnownRun | null;
  /** Of a log: all that was read. */
  readonly log: PublishedLog | null;
}

/** The word for the row's published training log; `./published` is a file of that name. */
export const PUBLISHED_LOG = 'published';

const NO_FIGURES: Side['figures'] = { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };

function curveOf(run: KnownRun): CurvePoint[] {
  const { iterations } = run.experiment.training;
  return run.log
    .filter(({ loss }) => Number.isFinite(loss))
    .map(({ iteration, loss, learningRate }) => ({ iteration, share: iteration / iterations, loss, learningRate }));
}

function environmentOf({ environment, record, experiment }: KnownRun): Map<string, string> {
  return new Map([
    ...environmentEntries(environment),
    ['seed', String(experiment.seed)],
    ...(record === null
      ? []
      : ([
          ['fcn', `${record.code.version}${record.code.commit === null ? '' : ` ${record.code.commit.slice(0, 12)}`}`],
          [
            'data',
            record.dataset === null ? 'none' : `${record.dataset.id} ${record.dataset.fingerprint.slice(0, 12)}`,
          ],
          ['weights', record.weights?.source ?? 'none'],
        ] as const)),
  ]);
}

function sideOfRun(run: KnownRun, all: readonly KnownRun[]): Side {
  const { experiment, record, environment } = run;
  const evaluation = shownEvaluation(run);
  const key = record === null ? null : recipeKey(record);
  const same = all
    .flatMap((other) => other.record ?? [])
    .filter((other) => {
      return other.exitReason === 'completed' && key !== null && recipeKey(other) === key;
    });
  return {
    kind: 'run',
    label: `${experiment.row} ${run.id} (${experiment.profile}, seed ${experiment.seed}, ${run.state})`,
    figures: record?.figures ?? NO_FIGURES,
    iterations: experiment.training.iterations,
    curve: curveOf(run),
    accuracy: accuracyOverIterations(run, all).map(({ iteration, mIoU }) => ({ iteration, mIoU: mIoU * 100 })),
    classes: new Map(evaluation?.perClass.flatMap(({ name, iou }) => (iou === null ? [] : [[name, iou * 100]]))),
    recipe: new Map(valuesOf(experiment)),
    environment: environmentOf(run),
    hardware: hardwareName(environment),
    givenWeights: record?.weights?.source === 'given',
    row: null,
    seeds: newestOfEachSeed(same),
    run,
    log: null,
  };
}

function sideOfRow(row: Row): Side {
  const { id, recipe, published, table } = row;
  return {
    kind: 'row',
    label: `${id} as published (${table.name})`,
    figures: published,
    iterations: recipe.training.iterations,
    curve: [],
    accuracy: [],
    classes: new Map(),
    recipe: new Map(valuesOf(recipe)),
    environment: null,
    hardware: table.hardware?.name ?? null,
    givenWeights: false,
    row,
    seeds: [],
    run: null,
    log: null,
  };
}

/** What a log's header says of its engine and machine, under the names that those of a run have. */
function environmentOfLog({ environment, gpu, seed }: LogHeader): Map<string, string> | null {
  const renamed = new Map([
    ['PyTorch', 'engine'],
    ['sys.platform', 'system'],
  ]);
  const said = [...environment]
    .filter(([key]) => !key.startsWith('GPU '))
    .map(([key, value]): [string, string] => [renamed.get(key) ?? key, key === 'PyTorch' ? `PyTorch ${value}` : value]);
  const all = new Map([
    ...said,
    ...(gpu === null ? [] : ([['GPUs', formatGpus(gpu)]] as const)),
    ...(seed === null ? [] : ([['seed', String(seed)]] as const)),
  ]);
  return all.size === 0 ? null : all;
}

/**
 * A published log as a side. Its recipe is that of its row, with what the log itself states of it; its schedule ends at its last
 * line where neither says more. It has no curve where too many of its lines could not be placed.
 * @param file Tells the row, where it is called as it is published.
 */
export function sideOfLog(log: PublishedLog, file: string, tables: readonly Table[] = loadTables()): Side {
  const { header, train, validation, reading } = log;
  const row = rowOfLog(header, file, tables);
  const iterations = scheduleOfLog(log, row);
  const last = validation.at(-1);
  return {
    kind: 'log',
    label: file,
    figures: { ...NO_FIGURES, ...loggedFigures(log) },
    iterations,
    curve: (reading.noCurve === null ? train : [])
      .filter(({ loss }) => Number.isFinite(loss))
      .map(({ iteration, loss, learningRate }) => ({ iteration, share: iteration / iterations, loss, learningRate })),
    accuracy: (reading.noCurve === null ? validation : []).flatMap(({ iteration, mIoU }) =>
      Number.isNaN(mIoU) ? [] : [{ iteration, mIoU: mIoU * 100 }],
    ),
    classes: new Map(
      [...(last?.perClass ?? [])].flatMap(([name, iou]) => (Number.isNaN(iou) ? [] : [[name, iou * 100]])),
    ),
    recipe: row === null ? null : new Map([...valuesOf(row.recipe), ...header.recipe]),
    environment: environmentOfLog(header),
    hardware: header.gpu?.name ?? null,
    givenWeights: false,
    row,
    seeds: [],
    run: null,
    log,
  };
}

/** The run that a reference means, as `RunCatalogue.findOne` takes it. @throws UserError where it means none, or a log. */
export async function runSide(reference: string, catalogue: RunCatalogue): Promise<Side> {
  if (isLog(reference)) {
    throw new UserError(
      `${reference} is a training log: the first of the two must be a run.`,
      `Name the run first: fcn compare RUN ${reference}.`,
    );
  }
  const run = await catalogue.findOne(reference);
  const known = await catalogue.all();
  const all = known.some(({ file }) => path.resolve(file) === path.resolve(run.file)) ? known : [...known, run];
  return sideOfRun(run, all);
}

/** Whether a path is a file that is neither a record nor in a run directory: what reads it as a log says where it is none. */
function mayBeLog(reference: string): boolean {
  if (path.basename(reference) === LOG_FILE) return false;
  if (!existsSync(reference)) return /\.(json|log)(\.gz)?$/.test(reference);
  if (statSync(reference).isDirectory()) return false;
  try {
    return !isRecord(readLogText(reference));
  } catch (error) {
    if (error instanceof UserError) return true;
    throw error;
  }
}

/**
 * What the first of two means: a run, or, beside a log, a row of which there is no run: then as it is published.
 * @param other What it is compared with, as it was given.
 * @throws UserError where it means neither, or a log.
 */
export async function firstSide(
  reference: string,
  other: string | undefined,
  catalogue: RunCatalogue,
  tables: readonly Table[] = loadTables(),
): Promise<Side> {
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === reference);
  const ofLog = other !== undefined && (other === PUBLISHED_LOG || mayBeLog(other));
  const hasRun = async () => (await catalogue.all()).some(({ row: id }) => id === reference);
  return row !== undefined && ofLog && !existsSync(reference) && !(await hasRun())
    ? sideOfRow(row)
    : runSide(reference, catalogue);
}

/** The same run, as far as it is now. */
export async function refreshed(side: Side): Promise<Side> {
  const directory = side.run?.directory;
  if (!directory)
    throw new UserError(`${side.label} has no run directory: there is nothing to follow.`, 'Name a run under --runs.');
  return sideOfRun(await readRun(directory), []);
}

/** True where a file holds one JSON document, a record; a log holds one a line. */
function isRecord(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'format' in value;
  } catch {
    return false;
  }
}

/** Whether a path is the file of a log that is not in a run directory. */
function isLog(reference: string): boolean {
  if (!mayBeLog(reference)) return false;
  try {
    readPublishedLog(reference);
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** The row that a side is of; null of a log that does not say. */
export function rowIdOf({ run, row }: Side): string | null {
  return run?.experiment.row ?? row?.id ?? null;
}

async function sideOfFile(file: string, catalogue: RunCatalogue): Promise<Side> {
  if (path.basename(file) === LOG_FILE) return runSide(file, catalogue);
  const text = readLogText(file);
  return isRecord(text) ? runSide(file, catalogue) : sideOfLog(parsePublishedLog(text, file), file);
}

/**
 * What the other side is: a published row by its id, a run, or the file of a published log.
 * Where nothing is named, the row of the run.
 * @throws UserError where it means nothing.
 */
export async function otherSide(
  reference: string | undefined,
  run: Side,
  catalogue: RunCatalogue,
  tables: readonly Table[] = loadTables(),
): Promise<Side> {
  const id = reference ?? rowIdOf(run)!;
  const row = tables.flatMap(({ rows }) => rows).find((candidate) => candidate.id === id);
  if (row !== undefined) return sideOfRow(row);
  if (reference === undefined) {
    throw new UserError(
      `${id} is no row of the package: there is nothing to compare ${run.label} with.`,
      'Name a second run, or the file of a log.',
    );
  }
  if (existsSync(reference) && !statSync(reference).isDirectory()) return sideOfFile(reference, catalogue);
  return runSide(reference, catalogue);
}

/** The figures that either side has. */
export function figuresOf(a: Side, b: Side): Figure[] {
  return FIGURES.filter((figure) => a.figures[figure] !== null || b.figures[figure] !== null);
}

/**
 * The published log of the row of a run, or of a row itself, fetched where it is not in the cache yet.
 * @throws UserError where the row has none or it cannot be fetched; the signal's reason on abort.
 */
export async function publishedSide({ run, row: own }: Side, signal: AbortSignal, display: DisplayMode): Promise<Side> {
  const row = run?.experiment.row ?? own!.id;
  const url = run === null ? own!.log : run.experiment.log;
  let side: Side | undefined;
  const title = 'Fetch the published log';
  const fetch = async (say: (progress: string) => void) => {
    const { file, log } = await fetchPublishedLog({
      row,
      url,
      signal,
      onProgress: (progress) => say(formatDownload(progress)),
    });
    side = sideOfLog(log, file);
    return file;
  };
  await showStages([{ title, run: fetch }], display);
  return side!;
}
