import { CHART_COLOURS, type ChartColours, HEAT_LEVELS, heatColour, type ThemeName, textColourOn } from './colours.js';
import { type Chart, svgElement, text } from './svg.js';

/** Of a chart in the page; "DejaVu Sans" is what a converter without fonts of a desktop usually has. */
const FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";

/** Dashes tell curves apart where colours do not. */
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '10 4', '4 2'];

function rules(colours: ChartColours): string {
  const { paper, ink, soft, grid, series } = colours;
  return [
    `.chart{font-family:${FONT};font-size:12px}`,
    `.chart text{fill:${soft}}.chart .name{fill:${ink}}`,
    `.chart .grid{stroke:${grid}}.chart .axis{stroke:${soft}}.chart .mark{stroke:${ink};stroke-dasharray:4 3}`,
    // Read where a line crosses it, too.
    `.chart .halo{stroke:${paper};stroke-width:4px;paint-order:stroke}`,
    '.chart .curve{fill:none;stroke-width:1.5;stroke-linejoin:round}',
    ...series.map((colour, i) => {
      const dash = DASHES[i] === '' ? '' : `;stroke-dasharray:${DASHES[i]}`;
      return `.chart .s${i}{stroke:${colour}${dash}}.chart .f${i}{fill:${colour}}`;
    }),
    ...Array.from({ length: HEAT_LEVELS + 1 }, (_, level) => {
      const colour = heatColour(colours, level);
      return `.chart .h${level}{fill:${colour}}.chart .t${level}{fill:${textColourOn(colour)}}`;
    }),
  ].join('\n');
}

/** Style of all charts of a page, which follows the reader's choice of light or dark. */
export function chartStyle(): string {
  return `${rules(CHART_COLOURS.light)}\n@media (prefers-color-scheme: dark){\n${rules(CHART_COLOURS.dark)}\n}`;
}

/** Around a chart that is a file of its own, and above it for its title. */
const MARGIN = 16;
const TITLE = 26;

/** A chart as a file of its own: with its title, on paper. Of no theme: it follows the reader's choice, as in the page. */
export function standaloneSvg(chart: Chart, theme: ThemeName | null): string {
  const paper = (name: ThemeName) =>
    `.chart .paper{fill:${CHART_COLOURS[name].paper}}.chart .title{font-size:14px;font-weight:600}`;
  const style =
    theme === null
      ? `${paper('light')}\n@media (prefers-color-scheme: dark){${paper('dark')}}\n${chartStyle()}`
      : `${paper(theme)}\n${rules(CHART_COLOURS[theme])}`;
  const framed = {
    ...chart,
    width: chart.width + 2 * MARGIN,
    height: chart.height + 2 * MARGIN + TITLE,
    body: [
      `<style>${style}</style><rect class="paper" width="100%" height="100%"/>`,
      text(MARGIN, MARGIN + 12, chart.title, { className: 'name title' }),
      `<g transform="translate(${MARGIN} ${MARGIN + TITLE})">${chart.body}</g>`,
    ].join(''),
  };
  return svgElement(framed, 'chart').replace(/^<svg /, '<svg xmlns="http://www.w3.org/2000/svg" ');
}
