import type { Dataset } from '../../data/datasets/dataset.js';
import type { PhotometricStep } from '../../data/transforms/photometric.js';
import type { Experiment } from '../../experiments/experiment.js';
import { formatNumber, formatPercent, formatShare } from '../../support/format.js';
import { escapeHtml } from '../html.js';
import { pageHead } from '../page-base.js';
import { PAGE_SCRIPT } from './page-script.js';
import { PAGE_STYLE } from './page-style.js';
import type { ShownSample } from './samples.js';

export interface SamplePage {
  readonly dataset: Dataset;
  readonly experiment: Experiment;
  readonly synthetic: boolean;
  readonly samples: readonly ShownSample[];
  readonly batch: number;
}

/** For a figure of the recipe: without digits that nobody wrote. */
const percent = (fraction: number) => `${Number(formatPercent(fraction))} %`;

const dataUri = (type: string, bytes: Buffer) => `data:${type};base64,${bytes.toString('base64')}`;

function formatStep({ operation, value }: PhotometricStep): string {
  const signed = (digits: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
  const amount = operation === 'brightness' || operation === 'hue' ? signed(0) : `×${value.toFixed(2)}`;
  // Not broken between the two.
  return `${operation}\u00a0${amount}`;
}

/** What was done to a sample, in the order in which it was. */
function formatAugmentation({ ratio, flipped, photometric }: ShownSample): string {
  return [`scale\u00a0×${ratio.toFixed(2)}`, ...(flipped ? ['flipped'] : []), ...photometric.map(formatStep)].join(
    ' · ',
  );
}

function figure(sample: ShownSample, { experiment }: SamplePage): string {
  const [height, width] = experiment.data.cropHw;
  const name = escapeHtml(sample.name);
  const size = `width="${width}" height="${height}"`;
  return `<figure>
<div class="sample">
<img src="${dataUri('image/jpeg', sample.jpeg)}" ${size} alt="Training sample ${name}">
<img class="labels" src="${dataUri('image/png', sample.png)}" ${size} alt="">
<output></output>
</div>
<figcaption><strong>${name}</strong> <span class="place">iteration ${sample.iteration}, position ${sample.position}</span>
<span class="changes">${formatAugmentation(sample)}</span></figcaption>
</figure>`;
}

/** The classes that the samples show, the largest first, with their part of the labelled pixels. */
function legend({ dataset, samples }: SamplePage): string {
  const pixels = dataset.classes.map((_, id) => samples.reduce((sum, { counts }) => sum + counts[id]!, 0));
  const labelled = pixels.reduce((sum, count) => sum + count, 0);
  const all = samples.reduce((sum, { counts }) => sum + counts.reduce((inner, count) => inner + count, 0), 0);
  const present = pixels
    .map((count, id) => ({ count, id }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || a.id - b.id);
  const items = present.map(({ id, count }) => {
    const colour = `rgb(${dataset.palette[id]!.join(' ')})`;
    const name = escapeHtml(dataset.classes[id]!.trim());
    const share = escapeHtml(`${formatShare(count / labelled)} %`);
    return `<li><i style="background:${colour}"></i><span>${name}</span><b>${share}</b></li>`;
  });
  const absent = dataset.classes.length - present.length;
  const ignored = `<li><i class="ignored"></i><span>ignored or padded</span><b>${escapeHtml(formatShare((all - labelled) / all))} %</b></li>`;
  return `<ul class="legend">
${[...items, ignored].join('\n')}
</ul>
<p class="note">Shares of the labelled pixels of these samples; ignored or padded pixels have no colour, their share is of all${
    absent === 0 ? '' : `. ${absent} of ${dataset.classes.length} classes do not occur in these samples`
  }.</p>`;
}

function facts({ dataset, experiment, synthetic, batch }: SamplePage): string {
  const { data, training } = experiment;
  const reduced = batch === training.batch ? '' : ` (${training.batch} in the recipe; there are no more images)`;
  const lines: [string, string][] = [
    ['Data set', `${dataset.name}${synthetic ? ', synthetic' : ''}, split “train”`],
    ['Recipe', `${experiment.row}${experiment.profile === 'full' ? '' : `, profile ${experiment.profile}`}`],
    ['Seed', `${experiment.seed}, from iteration 0, batches of ${batch}${reduced}`],
    ['Scale', `${data.imageScaleWh.join('×')} (width × height), ratio ${data.ratioRange.join('–')}`],
    ['Crop', `${data.cropHw.join('×')} (height × width), one class less than ${percent(data.categoryMaximumRatio)}`],
    ['Flip', `${percent(data.flipProbability)} of the samples`],
  ];
  return lines.map(([term, text]) => `<div><dt>${term}</dt><dd>${escapeHtml(text)}</dd></div>`).join('\n');
}

/** A page that holds all it shows: samples with their labels laid over them, what was done to each, and a legend. */
export function formatSamplePage(page: SamplePage): string {
  const { dataset, samples } = page;
  const title = `${escapeHtml(dataset.name)}: ${formatNumber(samples.length, 'training sample')}`;
  // What the script names under the pointer; "<" must not end the script.
  const classes = JSON.stringify(
    dataset.classes.map((name, id) => [name.trim(), dataset.palette[id]!.join(' ')]),
  ).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
${pageHead(title, PAGE_STYLE, { script: true })}
<body>
<header>
<h1>${title}</h1>
<p>What the network sees: images after resizing, cropping, flipping, distortion and padding, with their labels.</p>
<dl>
${facts(page)}
</dl>
</header>
<div class="controls"><label>Labels <input type="range" id="opacity" min="0" max="100" value="50"></label></div>
<main>
${samples.map((sample) => figure(sample, page)).join('\n')}
</main>
<section>
<h2>Classes</h2>
${legend(page)}
</section>
<script id="classes" type="application/json">${classes}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}
