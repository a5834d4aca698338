import type { Dataset } from '../../data/dataset.js';
import { countAbsentClasses } from '../../data/label-inventory.js';
import type { PhotometricStep } from '../../data/transforms/photometric.js';
import type { Experiment } from '../../recipe/experiment.js';
import { formatNumber, formatPercent, formatShare } from '../../support/format.js';
import { escapeHtml, PAGE_BASE, pageHead } from '../../tables/html.js';
import { dataUri, facts } from '../markup.js';

/** One training sample as the network gets it, encoded for a page. */
export interface ShownSample {
  readonly name: string;
  readonly iteration: number;
  /** Index in the batch. */
  readonly position: number;
  /** Of the random resize. */
  readonly ratio: number;
  readonly flipped: boolean;
  readonly photometric: readonly PhotometricStep[];
  /** How many pixels have each training id: [256]. */
  readonly counts: Uint32Array;
  /** The de-normalised image. */
  readonly jpeg: Buffer;
  /** The labels in the classes' colours. Ignored and padded pixels are transparent. */
  readonly png: Buffer;
}

export interface SamplePage {
  readonly dataset: Dataset;
  readonly experiment: Experiment;
  readonly synthetic: boolean;
  readonly samples: readonly ShownSample[];
  /** The recipe's batch, or the number of training images if that is smaller. */
  readonly batch: number;
}

/** A share from the recipe, without trailing zeros. */
const percent = (fraction: number) => `${Number(formatPercent(fraction))} %`;

function formatStep({ operation, value }: PhotometricStep): string {
  const signed = (digits: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
  const amount = operation === 'brightness' || operation === 'hue' ? signed(0) : `×${value.toFixed(2)}`;
  // A no-break space.
  return `${operation}\u00a0${amount}`;
}

/** The changes made to a sample, in order. */
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

/** The classes in the samples, the most frequent first, with their share of the labelled pixels. */
function legend({ dataset, samples }: SamplePage): string {
  const pixels = dataset.classes.map((_, id) => samples.reduce((sum, { counts }) => sum + counts[id]!, 0));
  const labelled = pixels.reduce((sum, count) => sum + count, 0);
  const all = samples.reduce((sum, { counts }) => sum + counts.reduce((inner, count) => inner + count, 0), 0);
  const present = pixels
    .map((count, id) => ({ count, id }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || a.id - b.id);
  const item = (icon: string, name: string, share: number) =>
    `<li><i ${icon}></i><span>${escapeHtml(name)}</span><b>${escapeHtml(formatShare(share))} %</b></li>`;
  const items = present.map(({ id, count }) => {
    const colour = `style="background:rgb(${dataset.palette[id]!.join(' ')})"`;
    return item(colour, dataset.classes[id]!.trim(), count / labelled);
  });
  const absent = dataset.classes.length - present.length;
  const absentNote = absent === 0 ? '' : `; ${countAbsentClasses(absent, dataset.classes.length)} in these samples`;
  return `<ul class="legend">
${[...items, item('class="ignored"', 'ignored or padded', (all - labelled) / all)].join('\n')}
</ul>
<p class="note">Shares are of the labelled pixels in these samples; that of ignored or padded pixels, which have no colour, is of all pixels${absentNote}.</p>`;
}

function pageFacts({ dataset, experiment, synthetic, batch }: SamplePage): string {
  const { data, training } = experiment;
  const reduced = batch === training.batch ? '' : ` (${training.batch} in the recipe; there are no more images)`;
  return facts([
    ['Data set', `${dataset.name}${synthetic ? ', synthetic' : ''}, split “train”`],
    ['Recipe', `${experiment.row}${experiment.profile === 'full' ? '' : `, profile ${experiment.profile}`}`],
    ['Seed', `${experiment.seed}, from iteration 0, batches of ${batch}${reduced}`],
    ['Scale', `${data.imageScaleWh.join('×')} (width × height), ratio ${data.ratioRange.join('–')}`],
    ['Crop', `${data.cropHw.join('×')} (height × width), one class less than ${percent(data.categoryMaximumRatio)}`],
    ['Flip', `${percent(data.flipProbability)} of the samples`],
  ]);
}

/** A self-contained page: samples overlaid with their labels, the changes made to each, and a legend. */
export function formatSamplePage(page: SamplePage): string {
  const { dataset, samples } = page;
  const title = `${escapeHtml(dataset.name)}: ${formatNumber(samples.length, 'training sample')}`;
  // Class names and colours for the script. A "<" must not end the script element.
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
${pageFacts(page)}
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

/**
 * The slider sets the opacity of the labels, and the class under the pointer is named by the colour of its pixel. Without scripts the
 * page still shows everything else.
 */
const PAGE_SCRIPT = `
const slider = document.getElementById('opacity');
const apply = () => document.documentElement.style.setProperty('--opacity', slider.value / 100);
slider.addEventListener('input', apply);
apply();

const names = new Map();
for (const [name, colour] of JSON.parse(document.getElementById('classes').textContent)) {
  names.set(colour, names.has(colour) ? names.get(colour) + ' or ' + name : name);
}
const pixels = new WeakMap();
const pixelsOf = (image) => {
  if (!pixels.has(image)) {
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    pixels.set(image, context.getImageData(0, 0, canvas.width, canvas.height));
  }
  return pixels.get(image);
};
for (const image of document.querySelectorAll('.labels')) {
  const output = image.parentElement.querySelector('output');
  const name = (event) => {
    const { data, width, height } = pixelsOf(image);
    const box = image.getBoundingClientRect();
    const inside = (place, size) => Math.min(Math.max(Math.floor(place * size), 0), size - 1);
    const x = inside((event.clientX - box.left) / box.width, width);
    const y = inside((event.clientY - box.top) / box.height, height);
    const at = 4 * (y * width + x);
    output.textContent = data[at + 3] === 0 ? 'ignored' : names.get(data.slice(at, at + 3).join(' ')) ?? '';
  };
  image.addEventListener('pointermove', name);
  image.addEventListener('pointerdown', name);
  image.addEventListener('pointerleave', () => { output.textContent = ''; });
}
`;

/** Light and dark, one column on a phone. */
const PAGE_STYLE = `${PAGE_BASE}
:root { --opacity: 0.5; }
.controls {
  position: sticky;
  top: 0;
  z-index: 1;
  margin: 1rem 0;
  padding: 0.6rem 0;
  border-bottom: 1px solid var(--line);
  background: var(--paper);
}
.controls label { display: flex; align-items: center; gap: 0.75rem; max-width: 26rem; }
.controls input { flex: 1; min-width: 0; accent-color: var(--accent); }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.25rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--card); overflow: hidden; }
.sample { position: relative; }
.sample img { display: block; width: 100%; height: auto; }
.sample .labels { position: absolute; inset: 0; opacity: var(--opacity); image-rendering: pixelated; cursor: crosshair; }
output {
  position: absolute;
  left: 0.4rem;
  bottom: 0.4rem;
  padding: 0 0.45rem;
  border-radius: 0.25rem;
  background: rgb(0 0 0 / 75%);
  color: #fff;
  font-size: 0.85rem;
  pointer-events: none;
}
output:empty { display: none; }
figcaption { padding: 0.55rem 0.75rem 0.7rem; font-size: 0.875rem; overflow-wrap: anywhere; }
figcaption span { color: var(--soft); }
.place { white-space: nowrap; }
.changes { display: block; }
.legend {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 14rem), 1fr));
  gap: 0.2rem 1.5rem;
  margin: 0;
  padding: 0;
  list-style: none;
}
.legend li { display: flex; align-items: center; gap: 0.6rem; }
.legend i { flex: none; width: 1.1rem; height: 1.1rem; border: 1px solid var(--line); border-radius: 0.2rem; }
.legend .ignored { background: repeating-linear-gradient(45deg, var(--line) 0 2px, transparent 2px 5px); }
.legend span { flex: 1; min-width: 0; }
.legend b { font-weight: 400; font-variant-numeric: tabular-nums; color: var(--soft); }
.note { margin: 0.75rem 0 0; max-width: 70ch; color: var(--soft); font-size: 0.875rem; }
`;
