import type { Palette } from '../data/image.js';
import { formatPixelShare, presentClasses } from '../prediction/classes.js';
import { contextOf, element, textElement } from './elements.js';

/** The colour of a class, as a small image. High-contrast modes change the colours of everything else. */
function swatch([red, green, blue]: Palette[number]): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.className = 'swatch';
  canvas.setAttribute('aria-hidden', 'true');
  canvas.width = 1;
  canvas.height = 1;
  const context = contextOf(canvas);
  context.fillStyle = `rgb(${red} ${green} ${blue})`;
  context.fillRect(0, 0, 1, 1);
  return canvas;
}

/** Shows the classes of a label map with their colours and shares, most frequent first. */
export function showLegend(labels: Uint8Array, classes: readonly string[], palette: Palette): void {
  const rows = presentClasses(labels, classes).map(({ id, name, share }) => {
    const row = document.createElement('tr');
    const first = textElement('td', name);
    first.prepend(swatch(palette[id]!));
    row.append(first, textElement('td', formatPixelShare(share)));
    return row;
  });
  element('legend', HTMLTableSectionElement).replaceChildren(...rows);
}
