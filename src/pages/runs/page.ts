import { formatDeviation } from '../../data/markers.js';
import type { Deviation } from '../../recipe/resolve.js';
import { formatBest, formatCheckpoint, markedCheckpoints } from '../../records/checkpoint-figures.js';
import { hasPublished, NOTHING_PUBLISHED } from '../../records/comparability.js';
import { hardwareName } from '../../records/environment.js';
import { shownFigures } from '../../records/last-validation.js';
import { formatTrainedBy, type RunRecord } from '../../records/record.js';
import { FIGURE_HEADINGS, FIGURES } from '../../records/verdict.js';
import type { KnownRun } from '../../runs/catalogue.js';
import { formatBytes, formatNumber, formatPercent, formatSeconds } from '../../support/format.js';
import { escapeHtml, pageHead } from '../../tables/html.js';
import { mostConfused } from '../charts/heat-map.js';
import { type Chart, svgElement } from '../charts/svg.js';
import { facts, htmlTable, REPORT_STYLE } from '../markup.js';
import { type AccuracyPoint, type ChartName, shownEvaluation } from './charts.js';
import { type Examples, examplesSection } from './examples.js';
import { figureCells, figuresSection, type RunCells } from './figures.js';
import { recipeSection } from './recipe-section.js';

/** A run with everything that the page shows of it. */
export interface ReportedRun {
  readonly run: KnownRun;
  readonly deviations: readonly Deviation[];
  /** Why its figures compare with nothing published; null if they do, or if there are none yet. */
  readonly notComparable: string | null;
  readonly cells: RunCells;
  readonly accuracy: readonly AccuracyPoint[];
  readonly charts: ReadonlyMap<ChartName, Chart>;
  /** Null without predictions. */
  readonly examples: Examples | null;
}

/** If there are more runs, all are collapsed. */
const MOST_OPEN = 3;
/** If there are more classes, their bars scroll in a box. */
const MOST_BARS = 40;
const CONFUSED_PAIRS = 8;

/** The beginning of a run's name, date and time, if it names no other run of its row here. */
function shortNameOf({ run: { experiment, id } }: ReportedRun, reported: readonly ReportedRun[]): string {
  const beginning = id.slice(0, '20250102-030405'.length);
  const same = reported.filter(({ run }) => run.row === experiment.row && run.id.startsWith(beginning));
  return `${experiment.row} ${same.length === 1 ? beginning : id}`;
}

const nameOf = ({ run: { experiment, id } }: ReportedRun) => `${experiment.row} ${id}`;

/** Whether anything was published for one of the rows: otherwise the page says nothing of publications. */
const anyPublished = (reported: readonly ReportedRun[]) =>
  reported.some(({ run }) => hasPublished(run.experiment.published));

/** What makes a run special, where nothing is published of its row either. */
const conditionsOf = ({ notComparable }: ReportedRun) =>
  notComparable === NOTHING_PUBLISHED ? '' : (notComparable ?? '');

function overview(reported: readonly ReportedRun[]): string {
  const isPublished = anyPublished(reported);
  // On a phone each column counts: one without a figure, here or published, is left out.
  const shown = FIGURES.filter((figure) =>
    reported.some(
      ({ run, cells }) =>
        shownFigures(run.record, run.validation).figures[figure] !== null || cells?.[figure].published != null,
    ),
  );
  const figures = shown.map((figure) => FIGURE_HEADINGS[figure]);
  return htmlTable({
    name: 'All runs with their figures',
    // A phone shows the first columns.
    head: ['Run', ...figures, 'Profile', 'Seed', 'State', isPublished ? 'Not comparable because' : 'Conditions'],
    body: reported.map((one, i) => {
      const { run } = one;
      const { profile, seed } = run.experiment;
      const link = { link: `#run-${i + 1}`, text: shortNameOf(one, reported) };
      return [
        link,
        ...figureCells(run, one.cells, shown),
        profile,
        { number: String(seed) },
        run.state,
        isPublished ? (one.notComparable ?? '') : conditionsOf(one),
      ];
    }),
  });
}

function skipped({ record }: KnownRun): string | null {
  const { train, evaluate, 'evaluate-ms': multiScale } = record?.details ?? {};
  const steps = train?.skippedSteps ?? 0;
  const samples = train?.skippedSamples.length ?? 0;
  const images = Math.max(evaluate?.skippedImages.length ?? 0, multiScale?.skippedImages.length ?? 0);
  const unread = `${samples} training samples and ${images} validation images could not be read`;
  const overflowed = `gradients of ${formatNumber(steps, 'step')} overflowed`;
  const parts = [...(samples + images === 0 ? [] : [unread]), ...(steps === 0 ? [] : [overflowed])];
  return parts.length === 0 ? null : parts.join('; ');
}

function formatWeights({ file, key, source, trainedBy, sha256 }: NonNullable<RunRecord['weights']>): string {
  const origin = trainedBy === undefined ? source : `of ${formatTrainedBy(trainedBy)}`;
  return `${file}${key === undefined ? '' : `, ${key}`} (${origin}), SHA-256 ${sha256.slice(0, 12)}…`;
}

function formatData({ id, synthetic, deviations = [], fingerprint }: NonNullable<RunRecord['dataset']>): string {
  const marks = [...(synthetic ? ['synthetic'] : []), ...deviations.map(formatDeviation)];
  return [id, ...marks, `fingerprint ${fingerprint.slice(0, 12)}…`].join(', ');
}

/** Of the last line of the log: the curve ends there. */
function meanLoss({ log }: KnownRun): string | null {
  const [last, before] = [log.at(-1), log.at(-2)];
  if (last === undefined) return null;
  const over = last.iteration - (before?.iteration ?? 0);
  return `${last.loss.toFixed(4)} over the last ${formatNumber(over, 'iteration')} logged`;
}

function runFacts(one: ReportedRun): string {
  const { run } = one;
  const { record, experiment, environment, startedAt, state } = run;
  const { train, evaluate, benchmark } = record?.details ?? {};
  const marked = record === null ? null : markedCheckpoints(record);
  const last = run.log.at(-1);
  return facts([
    ['Row', `${experiment.row} (${experiment.table}): ${experiment.method}, ${experiment.backbone}`],
    ['Started', startedAt.slice(0, 16).replace('T', ' ')],
    // The record of a resumed run describes how it ended before.
    ['State', `${state}${record?.error && record.exitReason === state ? `: ${record.error}` : ''}`],
    [
      'Trained',
      train
        ? `${formatNumber(train.iterations, 'iteration')} in ${formatSeconds(train.seconds)}`
        : last
          ? `${last.iteration} of ${experiment.training.iterations} iterations`
          : null,
    ],
    ['Last loss', train ? train.finalLoss.toFixed(4) : null],
    ['Mean loss', meanLoss(run)],
    [
      'Evaluated',
      evaluate
        ? `mIoU ${formatPercent(evaluate.mIoU)}, mAcc ${formatPercent(evaluate.mAcc)}, aAcc ${formatPercent(evaluate.aAcc)} on ${formatNumber(evaluate.images, 'image')}`
        : null,
    ],
    ['Last checkpoint', marked === null ? null : formatCheckpoint(marked.last)],
    ['Best checkpoint', marked === null ? null : formatBest(marked)],
    [
      'Benchmark',
      benchmark
        ? `${benchmark.fps.toFixed(2)} fps, ${formatBytes(benchmark.memory.liveTensorBytes)} of tensors in training`
        : null,
    ],
    [
      'Peak memory in training',
      train
        ? `${formatBytes(train.peakLiveTensorBytes)} of tensors, ` +
          (train.allocatedBytes === undefined ? '' : `${formatBytes(train.allocatedBytes)} with free buffers, `) +
          `process ${formatBytes(train.peakProcessBytes)}`
        : null,
    ],
    ['Weights', record?.weights ? formatWeights(record.weights) : null],
    ['Data', record?.dataset ? formatData(record.dataset) : experiment.data.dataset],
    ['Left out', skipped(run)],
    ['Hardware', hardwareName(environment)],
    // Beside published figures the reason stands with the figures.
    ['Conditions', hasPublished(experiment.published) ? null : conditionsOf(one) || null],
    ['Record', run.file],
  ]);
}

function card(chart: Chart, id: string, below = '', tall = false): string {
  const svg = svgElement(chart, id);
  const shown = tall
    ? `<div class="tall" role="region" tabindex="0" aria-label="${escapeHtml(chart.title)}">${svg}</div>`
    : svg;
  return `<section class="card"><h3>${escapeHtml(chart.title)}</h3>${shown}${below}</section>`;
}

function classTable(run: KnownRun): string {
  const evaluation = shownEvaluation(run);
  if (evaluation === null) return '';
  const figure = (value: number | null) => ({ number: value === null ? '–' : formatPercent(value) });
  const body = evaluation.perClass.map(({ name, iou, accuracy }) => [name, figure(iou), figure(accuracy)]);
  const name = 'IoU and accuracy of each class, percent';
  return `<details class="more"><summary>As a table</summary>${htmlTable({ name, head: ['Class', 'IoU', 'Accuracy'], body })}</details>`;
}

function confusedTable(run: KnownRun): string {
  const evaluation = shownEvaluation(run);
  if (evaluation === null) return '';
  const names = evaluation.perClass.map(({ name }) => name);
  const pairs = mostConfused(names, evaluation.confusion, CONFUSED_PAIRS);
  if (pairs.length === 0) return '';
  const body = pairs.map(({ label, prediction, share }) => [
    label,
    prediction,
    { number: `${formatPercent(share)} %` },
  ]);
  const name = 'Most often confused classes';
  return `<details class="more"><summary>${name}</summary>${htmlTable({ name, head: ['Label', 'Predicted as', 'Of its pixels'], body })}</details>`;
}

function belowChart(name: ChartName, { run, accuracy }: ReportedRun): string {
  if (name === 'iou') return classTable(run);
  if (name === 'confusion') return confusedTable(run);
  return name === 'miou' && accuracy.length === 1
    ? '<p class="note">Evaluated only once. With --evaluate-every, fcn reproduce and fcn train also evaluate during training.</p>'
    : '';
}

function charts(one: ReportedRun, id: string): string {
  const { run, charts: drawn } = one;
  const cards = [...drawn].map(([name, chart]) => {
    const below = belowChart(name, one);
    const tall = name === 'iou' && (shownEvaluation(run)?.perClass.length ?? 0) > MOST_BARS;
    return card(chart, `${id}-${name}`, below, tall);
  });
  return cards.length === 0
    ? '<p class="note">Nothing has been logged or evaluated yet.</p>'
    : `<div class="charts">\n${cards.join('\n')}\n</div>`;
}

function publishedLinks({ run: { experiment } }: ReportedRun): string {
  const { weights, log } = experiment;
  const links = [
    ...(weights === null ? [] : [`<a href="${escapeHtml(weights)}">published weights</a>`]),
    ...(log === null ? [] : [`<a href="${escapeHtml(log)}">published training log</a>`]),
  ];
  return links.length === 0 ? '' : `<p class="note">Links: ${links.join(', ')}.</p>`;
}

function runSection(one: ReportedRun, index: number, open: boolean): string {
  const id = `run-${index + 1}`;
  const { run, examples } = one;
  const { profile, seed } = run.experiment;
  return `<details class="run" id="${id}"${open ? ' open' : ''}>
<summary>${escapeHtml(run.experiment.row)} <small>${escapeHtml(run.id)}, ${escapeHtml(profile)} profile, seed ${seed}</small></summary>
${runFacts(one)}
<h3>Figures</h3>
${figuresSection(run, one.cells, one.notComparable)}${publishedLinks(one)}
<h3>Charts</h3>
${charts(one, id)}
${examples === null ? '' : examplesSection(examples)}
${recipeSection(one)}
</details>`;
}

function allRunsSection(losses: Chart | string | null): string {
  if (losses === null) return '';
  const shown =
    typeof losses === 'string'
      ? `<p class="note">${escapeHtml(losses)}</p>`
      : `<div class="charts">${card(losses, 'together')}</div>`;
  return `<h2>Losses</h2>\n${shown}\n`;
}

const ABOUT_PUBLISHED =
  ' If two figures are in one cell, the first is the published one. Figures of the smoke profile, of changed recipes and of synthetic data compare with nothing published.';

/**
 * A self-contained page. Its only external links lead to published files.
 * @param losses The losses of all runs in one chart, or the reason why there is none; null if fewer than two have one.
 */
export function formatReportPage(reported: readonly ReportedRun[], losses: Chart | string | null): string {
  const rows = new Set(reported.map(({ run }) => run.experiment.row)).size;
  const title = escapeHtml(
    reported.length === 1 ? nameOf(reported[0]!) : `${reported.length} runs of ${formatNumber(rows, 'row')}`,
  );
  const open = reported.length <= MOST_OPEN;
  return `<!doctype html>
<html lang="en">
${pageHead(title, REPORT_STYLE)}
<body>
<header>
<h1>${title}</h1>
<p>Made by fcn from records and logs. “–” means that there is no figure.${anyPublished(reported) ? ABOUT_PUBLISHED : ''}</p>
</header>
<main>
${reported.length > 1 ? `<h2>Runs</h2>\n${overview(reported)}\n` : ''}${allRunsSection(losses)}${reported.map((one, i) => runSection(one, i, open)).join('\n')}
</main>
</body>
</html>
`;
}
