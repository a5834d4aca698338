import path from 'node:path';
import { loadTables, type Table } from '../../recipe/tables.js';
import { type KnownRun, RunCatalogue } from '../../runs/catalogue.js';
import { compareStarts, listRuns } from '../../runs/run-names.js';
import { RunReader } from '../../runs/run-reader.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { readingNotesOf } from '../../training-logs/format.js';
import { readPublishedLog } from '../../training-logs/read.js';
import { rowOfLog, scheduleOfLog } from '../../training-logs/summary.js';
import { lineChart } from '../charts/plots.js';
import { type Chart, standaloneSvg, type ThemeName } from '../charts/svg.js';
import { accuracyOverIterations, CHART_NAMES, type ChartName, type ChartSource, runChart } from './charts.js';
import { type Examples, makeExamples } from './examples.js';
import { deviationsOf, findRow, reasonNotComparable, runCells } from './figures.js';
import { formatReportPage, type ReportedRun } from './page.js';

export interface RunReportOptions {
  /** As `RunCatalogue.find` takes them. */
  readonly references: readonly string[];
  readonly results: string;
  readonly runs: string;
  /** Output folder. */
  readonly out: string;
  /** "html": one page; else each chart is a file. */
  readonly format: 'html' | 'svg' | 'png';
  /** Empty: all that a run has. */
  readonly charts: readonly ChartName[];
  /** For charts as files; null: the device's choice (PNG: light). */
  readonly theme: ThemeName | null;
  /** Folder of predicted labels, for a single run. */
  readonly predictions?: string;
  readonly dataRoot: string;
  /** Whether the user said where the data sets are; otherwise a run's own place comes first. */
  readonly isDataRootGiven: boolean;
  /** How many of the best predictions, and of the worst. Default: 3. */
  readonly examples?: number;
  /** A published training log of the runs' row, drawn with their curves. */
  readonly log?: string;
  readonly warn: (text: string) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

interface WrittenReport {
  readonly runs: readonly { readonly row: string; readonly run: string; readonly charts: readonly ChartName[] }[];
  readonly files: readonly { readonly file: string; readonly bytes: number }[];
}

const MOST_CURVES = 6;
const PNG_PIXELS_PER_UNIT = 2;

/** The losses of all runs in one chart, or the reason why there is no such chart; null if fewer than two runs have a log. */
function commonLossChart(chosen: readonly KnownRun[]): Chart | string | null {
  const logged = chosen.filter(({ log }) => log.length > 0);
  if (logged.length < 2) return null;
  if (logged.length > MOST_CURVES) {
    return `The losses of ${logged.length} runs are not drawn in one chart: more than ${MOST_CURVES} curves could not be told apart. Name fewer runs to get the chart.`;
  }
  const differ = (value: (run: KnownRun) => unknown) => new Set(logged.map(value)).size > 1;
  const [rows, seeds] = [differ(({ experiment }) => experiment.row), differ(({ experiment }) => experiment.seed)];
  const series = logged.map(({ experiment, id, log }) => ({
    // What tells the runs apart comes first, as a legend has room for some fifty characters.
    name: `${id.slice(0, 15)}${seeds ? `, seed ${experiment.seed}` : ''}${rows ? ` ${experiment.row}` : ''}`,
    points: log.map(({ iteration, loss }) => ({ x: iteration, y: loss })),
  }));
  return lineChart({
    title: 'Mean loss of all runs',
    xName: 'iteration',
    yName: 'Mean loss between log lines',
    series,
  });
}

/** @throws UserError if they are not the predictions that the run's figures were counted from. */
async function runExamples(run: KnownRun, predictions: string, options: RunReportOptions): Promise<Examples> {
  const { examples: count = 3, signal, warn, onProgress } = options;
  const { evaluate, 'evaluate-ms': multiScale } = run.record?.details ?? {};
  const evaluations = [evaluate, multiScale].filter((evaluation) => evaluation != null);
  if (evaluations.length === 0) {
    warn(`${run.file} has no evaluation: whether the predictions in ${predictions} are of this run cannot be checked.`);
  }
  const skipped = new Set(evaluations.flatMap(({ skippedImages }) => skippedImages));
  const best = evaluations.flatMap((evaluation) => evaluation.best ?? []);
  const recorded = [...evaluations, ...best].map(({ confusion }) => confusion);
  const { experiment, directory } = run;
  const own = options.isDataRootGiven || directory === null ? null : await new RunReader(directory).dataRoot();
  const dataRoot = own ?? options.dataRoot;
  return makeExamples({ experiment, dataRoot, predictions, count, skipped, recorded, signal, onProgress });
}

async function reportedRun(
  run: KnownRun,
  all: readonly KnownRun[],
  tables: readonly Table[],
  published: ChartSource['published'],
  options: RunReportOptions,
): Promise<ReportedRun> {
  const { predictions } = options;
  const notComparable = reasonNotComparable(run, tables);
  const accuracy = accuracyOverIterations(run, all);
  const source = { run, accuracy, published, comparable: notComparable === null };
  const charts = new Map<ChartName, Chart>();
  for (const name of options.charts.length === 0 ? CHART_NAMES : options.charts) {
    const chart = runChart(name, source);
    if (chart !== null) charts.set(name, chart);
  }
  return {
    run,
    deviations: deviationsOf(run, tables),
    notComparable,
    cells: runCells(run, notComparable === null ? findRow(run.experiment.row, tables) : null),
    accuracy,
    charts,
    examples: predictions === undefined ? null : await runExamples(run, predictions, options),
  };
}

/** @throws UserError for flags that have no effect in this format. */
function refuseIdleFlags({ format, theme, predictions }: RunReportOptions): void {
  if (format === 'html' && theme !== null) {
    throw new UserError(
      `--theme ${theme} changes nothing in a page: it follows the reader's device.`,
      'Leave it out, or write charts with --format svg or png.',
    );
  }
  if (format !== 'html' && predictions !== undefined) {
    throw new UserError(
      `--predictions changes nothing with --format ${format}: only a page shows predictions.`,
      'Leave it out, or leave out --format.',
    );
  }
}

/**
 * Reads the published log that is drawn with the runs.
 * @returns Null, after a warning, if too many of its lines could not be placed.
 * @throws UserError if the runs do not belong to one row, the log's.
 */
function readLogOfRow(
  file: string,
  chosen: readonly KnownRun[],
  tables: readonly Table[],
  warn: RunReportOptions['warn'],
): ChartSource['published'] {
  const rows = new Set(chosen.map(({ experiment }) => experiment.row));
  if (rows.size > 1) {
    throw new UserError(
      `--log ${file} belongs to one row, but the chosen runs belong to several.`,
      'Name runs of one row.',
    );
  }
  const log = readPublishedLog(file);
  const row = rowOfLog(log.header, file, tables);
  if (row === null) {
    warn(`Neither ${file} nor its name says which row it belongs to. It is drawn as a log of ${[...rows][0]}.`);
  } else if (!rows.has(row.id)) {
    throw new UserError(
      `${file} is the log of ${row.id}, but the runs are of ${[...rows][0]}.`,
      "Give the log of the runs' row, which fcn show ROW names, or compare the two with fcn compare.",
    );
  }
  for (const note of readingNotesOf(log)) warn(`${file}: ${note}`);
  if (log.reading.noCurve !== null) return null;
  return { log, iterations: scheduleOfLog(log, row) };
}

/**
 * Writes a page of runs, or each of their charts as a file.
 * @throws UserError if a run is not found, a file is broken, or nothing can be drawn or written.
 */
export async function writeRunReport(options: RunReportOptions): Promise<WrittenReport> {
  const { references, out, format, predictions, log, warn } = options;
  refuseIdleFlags(options);
  const catalogue = new RunCatalogue(options, ({ message }) => warn(`Left out: ${message}`));
  const chosen = await catalogue.find(references);
  if (predictions !== undefined && chosen.length !== 1) {
    throw new UserError(
      `--predictions holds predictions of one run, but ${chosen.length} are chosen: ${listRuns([...chosen].sort(compareStarts).reverse())}.`,
      'Name the one that made them, the newest first in this list.',
    );
  }
  const tables = loadTables();
  const published = log === undefined ? null : readLogOfRow(log, chosen, tables, warn);
  const all = await catalogue.all();
  const reported: ReportedRun[] = [];
  for (const run of chosen) {
    options.signal?.throwIfAborted();
    reported.push(await reportedRun(run, all, tables, published, options));
  }
  const files = format === 'html' ? [await writePage(reported, out)] : await writeCharts(reported, options);
  return {
    runs: reported.map(({ run, charts }) => ({ row: run.experiment.row, run: run.id, charts: [...charts.keys()] })),
    files,
  };
}

async function writePage(reported: readonly ReportedRun[], out: string) {
  const page = formatReportPage(reported, commonLossChart(reported.map(({ run }) => run)));
  const file = path.resolve(out, 'index.html');
  await writeFileAtomic(file, page);
  return { file, bytes: Buffer.byteLength(page) };
}

async function toPng(svg: string): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  // At 72 pixels an inch a unit is a pixel.
  const density = 72 * PNG_PIXELS_PER_UNIT;
  return sharp(Buffer.from(svg), { density }).png().toBuffer();
}

async function writeCharts(reported: readonly ReportedRun[], { out, format, theme, charts }: RunReportOptions) {
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
    `None of the ${reported.length} chosen runs has data for ${charts.length === 0 ? 'a chart' : `the chart ${charts.join(' or ')}`}.`,
    'Curves need the log in the run directory; IoU and confusion need an evaluation.',
  );
}
