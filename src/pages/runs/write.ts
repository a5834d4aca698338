import path from 'node:path';
import { loadDataset } from '../../data/description.js';
import { loadTables, type Table } from '../../recipe/tables.js';
import { type KnownRun, RunCatalogue } from '../../runs/catalogue.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { readingNotesOf } from '../../training-logs/format.js';
import { readPublishedLog } from '../../training-logs/read.js';
import { rowOfLog, scheduleOfLog } from '../../training-logs/summary.js';
import { lineChart } from '../charts/plots.js';
import { type Chart, standaloneSvg, type ThemeName } from '../charts/svg.js';
import { accuracyOverIterations, CHART_NAMES, type ChartName, type ChartSource, runChart } from './charts.js';
import { makeExamples } from './examples.js';
import { deviationsOf, runApart, runCells } from './figures.js';
import { formatReportPage, type ReportedRun } from './page.js';

/** A page, or each chart as a file. */
type ReportFormat = 'html' | 'svg' | 'png';

export interface ReportOptions {
  /** As `RunCatalogue.find` takes them. */
  readonly references: readonly string[];
  readonly results: string;
  readonly runs: string;
  /** Folder that is written to. */
  readonly out: string;
  readonly format: ReportFormat;
  /** Only these; none: all that a run has. */
  readonly charts: readonly ChartName[];
  /** Of charts as files; null: as the reader's device is set (light in a PNG). */
  readonly theme: ThemeName | null;
  /** Folder of the predicted labels of the only run. */
  readonly predictions?: string | undefined;
  readonly dataRoot: string;
  /** Of the best, and of the worst predictions; 3 if not given. */
  readonly examples?: number | undefined;
  /** A published training log of the runs' row, drawn beside the curves. */
  readonly log?: string | undefined;
  /** Told what was left out, or what the reader should know of the report. */
  readonly warn: (text: string) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

interface WrittenReport {
  readonly runs: readonly { readonly row: string; readonly run: string; readonly charts: readonly ChartName[] }[];
  readonly files: readonly { readonly file: string; readonly bytes: number }[];
}

/** Curves of more runs in one chart could not be told apart. */
const MOST_TOGETHER = 6;
/** Of the best and of the worst predictions. */
const EXAMPLES = 3;
/** A PNG has so many pixels for each unit of the chart. */
const PNG_SCALE = 2;

/** The chart of all losses, or why there is none; null where there is nothing to set side by side. */
function together(chosen: readonly KnownRun[]): Chart | string | null {
  const logged = chosen.filter(({ log }) => log.length > 0);
  if (logged.length < 2) return null;
  if (logged.length > MOST_TOGETHER) {
    return `The losses of ${logged.length} runs are not drawn in one chart: more than ${MOST_TOGETHER} curves could not be told apart. Name fewer runs to have it.`;
  }
  const series = logged.map(({ experiment, id, log }) => ({
    name: `${experiment.row} ${id.slice(0, 15)} (seed ${experiment.seed})`,
    points: log.map(({ iteration, loss }) => ({ x: iteration, y: loss })),
  }));
  return lineChart({ title: 'Loss of all runs', xName: 'iteration', yName: 'Loss', series, fromZero: true });
}

function requireOneRow(chosen: readonly KnownRun[], flag: string, what: string): void {
  if (chosen.length === 1) return;
  throw new UserError(
    `${flag} holds ${what} of one run, and ${chosen.length} are chosen.`,
    'Name one run, by its id or its directory.',
  );
}

async function examine(
  run: KnownRun,
  all: readonly KnownRun[],
  tables: readonly Table[],
  published: ChartSource['published'],
  options: ReportOptions,
): Promise<ReportedRun> {
  const { predictions, dataRoot, examples: count = EXAMPLES, signal, warn, onProgress } = options;
  const { experiment, record } = run;
  const apart = runApart(run, tables);
  const accuracy = accuracyOverIterations(run, all);
  const source = { run, accuracy, published, comparable: apart === null };
  const wanted = options.charts.length === 0 ? CHART_NAMES : options.charts;
  const charts = new Map<ChartName, Chart>();
  for (const name of wanted) {
    const chart = runChart(name, source);
    if (chart !== null) charts.set(name, chart);
  }
  const progress = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  const dataset = predictions === undefined ? null : await loadDataset(experiment.data.dataset);
  const { evaluate, 'evaluate-ms': multiScale } = record?.details ?? {};
  const evaluations = [evaluate, multiScale].filter((evaluation) => evaluation != null);
  if (predictions !== undefined && evaluations.length === 0) {
    warn(`${run.file} has no evaluation: whether the predictions in ${predictions} are of this run cannot be checked.`);
  }
  const skipped = new Set(evaluations.flatMap(({ skippedImages }) => skippedImages));
  const recorded = evaluations.map(({ confusion }) => confusion);
  const row = apart === null ? tables.flatMap(({ rows }) => rows).find(({ id }) => id === experiment.row) : undefined;
  return {
    run,
    deviations: deviationsOf(run, tables),
    apart,
    cells: runCells(run, row ?? null),
    accuracy,
    charts,
    examples:
      predictions === undefined
        ? null
        : await makeExamples({ experiment, dataRoot, predictions, count, skipped, recorded, ...progress }),
    classColours: (dataset?.classes ?? []).map((name, id) => ({
      name,
      colour: `rgb(${dataset!.palette[id]!.join(' ')})`,
    })),
  };
}

/** @throws UserError for flags that would change nothing in this format. */
function requireMeaning({ format, theme, predictions }: ReportOptions): void {
  if (format === 'html' && theme !== null) {
    throw new UserError(
      `--theme ${theme} changes nothing in a page: it follows the reader's device.`,
      'Leave it out, or write charts with --format svg or png.',
    );
  }
  if (format !== 'html' && predictions !== undefined) {
    throw new UserError(
      `--predictions changes nothing with --format ${format}: predictions stand in a page only.`,
      'Leave it out, or leave out --format.',
    );
  }
}

/**
 * The published log that is drawn beside the runs; null where too many of its lines could not be placed, which is warned of.
 * @throws UserError where it is of another row than they are.
 */
function readLogOf(file: string, chosen: readonly KnownRun[], tables: readonly Table[], warn: ReportOptions['warn']) {
  const rows = new Set(chosen.map(({ experiment }) => experiment.row));
  if (rows.size > 1) {
    throw new UserError(`--log ${file} belongs to one row, and runs of several are chosen.`, 'Name runs of one row.');
  }
  const log = readPublishedLog(file);
  const row = rowOfLog(log.header, file, tables);
  if (row === null) {
    warn(`Neither ${file} nor its name says of which row it is: whether it belongs to ${[...rows][0]} is not known.`);
  } else if (!rows.has(row.id)) {
    throw new UserError(
      `${file} is the log of ${row.id}, and the runs are of ${[...rows][0]}.`,
      "Give the row's own log, which fcn show ROW names, or set the two beside each other with fcn compare.",
    );
  }
  for (const note of readingNotesOf(log)) warn(`${file}: ${note}`);
  if (log.reading.noCurve !== null) return null;
  return { log, iterations: scheduleOfLog(log, row) };
}

/**
 * Writes the page of runs, or their charts as files of their own.
 * @throws UserError where a reference means nothing, a file is broken, or nothing can be drawn or written.
 */
export async function writeRunReport(options: ReportOptions): Promise<WrittenReport> {
  const { references, out, format, predictions, log, warn } = options;
  requireMeaning(options);
  const catalogue = new RunCatalogue(options, ({ message }) => warn(`Left out: ${message}`));
  const chosen = await catalogue.find(references);
  if (predictions !== undefined) requireOneRow(chosen, '--predictions', 'predictions');
  const tables = loadTables();
  const published = log === undefined ? null : readLogOf(log, chosen, tables, warn);
  const all = await catalogue.all();
  const reported: ReportedRun[] = [];
  for (const run of chosen) {
    options.signal?.throwIfAborted();
    reported.push(await examine(run, all, tables, published, options));
  }
  const files = format === 'html' ? [await writePage(reported, out)] : await writeCharts(reported, options);
  return {
    runs: reported.map(({ run, charts }) => ({ row: run.experiment.row, run: run.id, charts: [...charts.keys()] })),
    files,
  };
}

async function writePage(reported: readonly ReportedRun[], out: string) {
  const page = formatReportPage({ reported, together: together(reported.map(({ run }) => run)) });
  const file = path.resolve(out, 'index.html');
  await writeFileAtomic(file, page);
  return { file, bytes: Buffer.byteLength(page) };
}

async function toPng(svg: string): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  // 72 pixels an inch draw a unit as a pixel.
  return sharp(Buffer.from(svg), { density: 72 * PNG_SCALE })
    .png()
    .toBuffer();
}

async function writeCharts(reported: readonly ReportedRun[], { out, format, theme, charts }: ReportOptions) {
  const files: WrittenReport['files'][number][] = [];
  for (const { run, charts: drawn } of reported) {
    for (const [name, chart] of drawn) {
      const svg = standaloneSvg(chart, format === 'png' ? (theme ?? 'light') : theme);
      const content = format === 'png' ? await toPng(svg) : Buffer.from(svg);
      const file = path.resolve(out, `${run.experiment.row}.${run.id}.${name}.${format}`);
      await writeFileAtomic(file, content);
      files.push({ file, bytes: content.length });
    }
  }
  if (files.length > 0) return files;
  throw new UserError(
    `None of the ${reported.length} chosen runs has what ${charts.length === 0 ? 'a chart' : `the chart ${charts.join(' or ')}`} shows.`,
    'Curves need the log in the run directory, IoU and confusion an evaluation.',
  );
}
