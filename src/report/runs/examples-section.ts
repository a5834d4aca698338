import { formatPercent } from '../../support/format.js';
import { escapeHtml } from '../html.js';
import type { Example, Examples } from './examples.js';

const uri = (type: string, bytes: Buffer) => `data:image/${type};base64,${bytes.toString('base64')}`;

function panel(caption: string, source: string, alt: string, { width, height }: Example, map: boolean): string {
  const size = `width="${width}" height="${height}"`;
  return `<figure><img${map ? ' class="map"' : ''} src="${source}" ${size} alt="${escapeHtml(alt)}"><figcaption>${caption}</figcaption></figure>`;
}

function example(one: Example): string {
  const { name, mIoU, pixelAccuracy, image, truth, prediction, error } = one;
  const wrong = formatPercent(1 - pixelAccuracy);
  return `<figure class="example">
<figcaption><strong>${escapeHtml(name)}</strong> <span>mIoU of its classes ${formatPercent(mIoU)} %, ${wrong} % of its pixels wrong</span></figcaption>
<div class="panels">
${panel('image', uri('jpeg', image), `${name}: the image`, one, false)}
${panel('truth', uri('png', truth), `${name}: its labels, a colour a class`, one, true)}
${panel('prediction', uri('png', prediction), `${name}: the predicted classes, in the same colours`, one, true)}
${panel('error', uri('png', error), `${name}: the ${wrong} % of pixels that are wrong, in orange`, one, true)}
</div>
</figure>`;
}

/** The best and the worst predictions, each as image, truth, prediction and error. */
export function examplesSection(
  { images, best, worst }: Examples,
  colours: readonly { readonly name: string; readonly colour: string }[],
): string {
  const swatch = (name: string, colour: string) => `<li><i style="background:${colour}"></i>${escapeHtml(name)}</li>`;
  const legend = [
    ...colours.map(({ name, colour }) => swatch(name, colour)),
    swatch('ignored', '#000000'),
    swatch('error: wrong', '#d55e00'),
    swatch('error: right', '#e8ecf0'),
    swatch('error: ignored', '#787c82'),
  ];
  return `<h3>Best predictions</h3>
<p class="note">Of ${images} images, by the mean IoU of the classes of the image alone.</p>
<ul class="legend">${legend.join('')}</ul>
<div class="examples">
${best.map(example).join('\n')}
</div>
<h3>Worst predictions</h3>
<div class="examples">
${worst.map(example).join('\n')}
</div>`;
}
