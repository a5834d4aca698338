import { formatDeviation } from '../../data/markers.js';
import { recipeValues } from '../../recipe/overrides.js';
import type { Deviation } from '../../recipe/resolve.js';
import { environmentEntries, hardwareName } from '../../records/environment.js';
import { FIGURE_HEADINGS, FIGURES } from '../../records/figures.js';
import type { KnownRun } from '../../runs/catalogue.js';
import { formatBytes, formatNumber, formatPercent, formatSeconds } from '../../support/format.js';
import { escapeHtml, pageHead } from '../../tables/html.js';
import { mostConfused } from '../charts/heat-map.js';
import { type Chart, svgElement } from '../charts/svg.js';
import { type AccuracyPoint, type ChartName, shownEvaluation } from './charts.js';
import { type Examples, examplesSection } from './examples.js';
import { figureCells, figuresSection, type RunCells } from './figures.js';
import { facts, REPORT_STYLE, table } from './markup.js';

/** A run with all that the page shows of it. */
export interface ReportedRun {
  readonly run: KnownRun;
  readonly deviations: readonly Deviation[];
  /** Why its figures compare with nothing published; null where they do, or where there are none yet. */
  readonly apart: string | null;
  /** Its figures beside the published ones; null where they compare with none. */
  readonly cells: RunCells;
  /** mIoU over iterations, as far as it was measured. */
  readonly accuracy: readonly AccuracyPoint[];
  readonly charts: ReadonlyMap<ChartName, Chart>;
  /** Null where no predictions were given. */
  readonly examples: Examples | null;
  /** Colours of the classes, for the examples' legend. */
  readonly classColours: readonly { readonly name: string; readonly colour: string }[];
}

/** With more runs than this each is folded in. */
const MOST_OPEN = 3;
/** With more classes than this the bars scroll in a box of their own. */
const MOST_BARS = 40;
const CONFUSED = 8;

const nameOf = ({ run: { experiment, id } }: ReportedRun) => `${experiment.row} ${id}`;

function overview(reported: readonly ReportedRun[]): string {
  return table({
    name: 'All runs with their figures',
    head: [
      'Run',
      'Profile',
      'Seed',
      ...FIGURES.map((figure) => FIGURE_HEADINGS[figure]),
      'State',
      'Not comparable because',
    ],
    body: reported.map((one, i) => {
      const { run, apart } = one;
      const { profile, seed } = run.experiment;
      return [
        { link: `#run-${i + 1}`, text: nameOf(one) },
        profile,
        { number: String(seed) },
        ...figureCells(run, one.cells),
        run.state,
        apart ?? '',
      ];
    }),
  });
}

function skipped({ record }: KnownRun): string | null {
  const steps = record?.details.train?.skippedSteps ?? 0;
  const samples = record?.details.train?.skippedSamples.length ?? 0;
  const images = Math.max(
    record?.details.evaluate?.skippedImages.length ?? 0,
    record?.details['evaluate-ms']?.skippedImages.length ?? 0,
  );
  const said = [
    ...(samples + images === 0
      ? []
      : [`${samples} training samples and ${images} validation images could not be read`]),
    ...(steps === 0 ? [] : [`gradients of ${formatNumber(steps, 'step')} overflowed`]),
  ];
  return said.length === 0 ? null : said.join('; ');
}

function runFacts({ run, apart }: ReportedRun): string {
  const { record, experiment, environment, startedAt, state } = run;
  const { train, evaluate, benchmark } = record?.details ?? {};
  const last = run.log.at(-1);
  return facts([
    ['Row', `${experiment.row} (${experiment.table}): ${experiment.method}, ${experiment.backbone}`],
    ['Started', startedAt.slice(0, 16).replace('T', ' ')],
    // Of one that is resumed, the record tells its last end.
    ['State', `${state}${record?.error && record.exitReason === state ? `: ${record.error}` : ''}`],
    [
      'Trained',
      train
        ? `${formatNumber(train.iterations, 'iteration')} in ${formatSeconds(train.seconds)}`
        : last
          ? `${last.iteration} of ${experiment.training.iterations} iterations`
          : null,
    ],
    ['Loss', train ? train.finalLoss.toFixed(4) : last ? last.loss.toFixed(4) : null],
    [
      'Evaluated',
      evaluate
        ? `mIoU ${formatPercent(evaluate.mIoU)}, mAcc ${formatPercent(evaluate.mAcc)}, aAcc ${formatPercent(evaluate.aAcc)} on ${formatNumber(evaluate.images, 'image')}`
        : null,
    ],
    [
      'Benchmark',
      benchmark
        ? `${benchmark.fps.toFixed(2)} fps, ${formatBytes(benchmark.memory.liveTensorBytes)} of tensors in training`
        : null,
    ],
    [
      'Peak memory in training',
      train
        ? `${formatBytes(train.peakLiveTensorBytes)} of tensors, process ${formatBytes(train.peakProcessBytes)}`
        : null,
    ],
    [
      'Weights',
      record?.weights
        ? `${record.weights.file}${record.weights.key === undefined ? '' : `, ${record.weights.key}`} (${record.weights.source}), SHA-256 ${record.weights.sha256.slice(0, 12)}…`
        : null,
    ],
    [
      'Data',
      record?.dataset
        ? [
            record.dataset.id,
            ...(record.dataset.synthetic ? ['synthetic'] : []),
            ...(record.dataset.deviations ?? []).map(formatDeviation),
            `fingerprint ${record.dataset.fingerprint.slice(0, 12)}…`,
          ].join(', ')
        : experiment.data.dataset,
    ],
    ['Left out', skipped(run)],
    ['Hardware', hardwareName(environment)],
    ['Compares with nothing published', apart],
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
  return `<details class="more"><summary>As a table</summary>${table({ name, head: ['Class', 'IoU', 'Accuracy'], body })}</details>`;
}

function confusedTable(run: KnownRun): string {
  const evaluation = shownEvaluation(run);
  if (evaluation === null) return '';
  const names = evaluation.perClass.map(({ name }) => name);
  const pairs = mostConfused(names, evaluation.confusion, CONFUSED);
  if (pairs.length === 0) return '';
  const body = pairs.map(({ label, prediction, share }) => [
    label,
    prediction,
    { number: `${formatPercent(share)} %` },
  ]);
  const name = 'Most often confused classes';
  return `<details class="more"><summary>${name}</summary>${table({ name, head: ['Label', 'Predicted as', 'Of its pixels'], body })}</details>`;
}

/** What stands below a chart. */
function belowChart(name: ChartName, { run, accuracy }: ReportedRun): string {
  if (name === 'iou') return classTable(run);
  if (name === 'confusion') return confusedTable(run);
  return name === 'miou' && accuracy.length === 1
    ? '<p class="note">Evaluated once only: fcn reproduce and fcn train evaluate while training goes on with --evaluate-every.</p>'
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
    ? '<p class="note">Nothing was logged or evaluated yet.</p>'
    : `<div class="charts">\n${cards.join('\n')}\n</div>`;
}

function elsewhere({ run: { experiment } }: ReportedRun): string {
  const { weights, log } = experiment;
  const links = [
    ...(weights === null ? [] : [`<a href="${escapeHtml(weights)}">published weights</a>`]),
    ...(log === null ? [] : [`<a href="${escapeHtml(log)}">published training log</a>`]),
  ];
  return links.length === 0 ? '' : `<p class="note">Elsewhere: ${links.join(', ')}.</p>`;
}

function runSection(one: ReportedRun, index: number, open: boolean): string {
  const id = `run-${index + 1}`;
  const { run, examples, classColours } = one;
  const { profile, seed } = run.experiment;
  return `<details class="run" id="${id}"${open ? ' open' : ''}>
<summary>${escapeHtml(run.experiment.row)} <small>${escapeHtml(run.id)}, ${escapeHtml(profile)} profile, seed ${seed}</small></summary>
${runFacts(one)}
<h3>Figures</h3>
${figuresSection(run, one.cells, one.apart)}${elsewhere(one)}
<h3>Charts</h3>
${charts(one, id)}
${examples === null ? '' : examplesSection(examples, classColours)}
${recipeSection(one)}
</details>`;
}

interface ReportPage {
  readonly reported: readonly ReportedRun[];
  /** Loss of all runs in one chart, or why there is none; null where fewer than two have one. */
  readonly together: Chart | string | null;
}

function togetherSection(together: Chart | string): string {
  return typeof together === 'string'
    ? `<p class="note">${escapeHtml(together)}</p>`
    : `<div class="charts">${card(together, 'together')}</div>`;
}

/** A page that holds all it shows; the only links that lead out of it are those to published files. */
export function formatReportPage({ reported, together }: ReportPage): string {
  const rows = [...new Set(reported.map(({ run }) => run.experiment.row))];
  const title = escapeHtml(
    reported.length === 1
      ? nameOf(reported[0]!)
      : `${reported.length} runs of ${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`,
  );
  const open = reported.length <= MOST_OPEN;
  return `<!doctype html>
<html lang="en">
${pageHead(title, REPORT_STYLE)}
<body>
<header>
<h1>${title}</h1>
<p>Made by fcn from records and logs. Where a figure stands beside the published one, that comes first; a dash stands for no figure. Figures of the smoke profile, of changed recipes or of synthetic data compare with nothing published, and stand alone.</p>
</header>
<main>
${reported.length > 1 ? `<h2>Runs</h2>\n${overview(reported)}\n` : ''}${
  together === null ? '' : `<h2>Together</h2>\n${togetherSection(together)}\n`
}${reported.map((one, i) => runSection(one, i, open)).join('\n')}
</main>
</body>
</html>
`;
}

const show = (value: unknown) => (value === undefined ? '–' : JSON.stringify(value));

/** Deviations from the published recipe, the whole recipe, and what the run ran on. */
function recipeSection({ run, deviations }: Pick<ReportedRun, 'run' | 'deviations'>): string {
  const changed = new Set(deviations.map(({ path }) => path));
  const deviating =
    deviations.length === 0
      ? '<p class="note">Nothing deviates from the published recipe.</p>'
      : table({
          name: 'Deviations from the published recipe',
          head: ['Value', 'Published', 'Here'],
          body: deviations.map(({ path, published, value }) => [path, show(published), show(value)]),
        });
  const all = table({
    name: 'The whole recipe',
    head: ['Value', 'Here'],
    body: [...recipeValues(run.experiment)].map(([path, value]) => [
      changed.has(path) ? `${path} *` : path,
      show(value),
    ]),
  });
  const machine = table({
    name: 'Environment',
    head: ['What', 'Which'],
    body: [
      ...environmentEntries(run.environment),
      ...(run.record
        ? [['fcn', `${run.record.code.version}${run.record.code.commit ? `, commit ${run.record.code.commit}` : ''}`]]
        : []),
    ],
  });
  return `<div class="two">
<section><h3>Deviations from the published recipe</h3>${deviating}
<details class="more"><summary>The whole recipe (* deviates)</summary>${all}</details></section>
<section><h3>Environment</h3>${machine}</section>
</div>`;
}
