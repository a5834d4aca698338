import test from 'ava';
import { heatMap, mostConfused, rowShares } from '../../../src/pages/charts/heat-map.js';
import { barChart, lineChart } from '../../../src/pages/charts/plots.js';
import {
  CHART_COLOURS,
  contrast,
  downsample,
  HEAT_LEVELS,
  heatColour,
  linearScale,
  standaloneSvg,
  svgElement,
  textColourOn,
  tickStep,
} from '../../../src/pages/charts/svg.js';
import { unbalanced } from '../../helpers/markup.js';
import { near } from '../../helpers/numeric.js';
import fc from '../../helpers/properties.js';

test('steps of ticks are 1, 2 or 5 times a power of ten', (t) => {
  t.is(tickStep(10, 5), 2);
  t.is(tickStep(100, 5), 20);
  t.is(tickStep(40_000, 6), 5000);
  t.is(tickStep(0.01, 5), 0.002);
});

test('a nice scale goes from tick to tick; its ticks are exact decimals', (t) => {
  const scale = linearScale({ domain: [0.13, 3.25], range: [200, 0], count: 5, nice: true });
  t.deepEqual(scale.ticks, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]);
  t.deepEqual(scale.ticks.map(scale.format), ['0.0', '0.5', '1.0', '1.5', '2.0', '2.5', '3.0', '3.5']);
  t.is(scale.at(0), 200);
  t.is(scale.at(3.5), 0);
  t.is(scale.at(1.75), 100);
});

test('ticks are written short: thousands, small numbers, minus signs', (t) => {
  const texts = (low: number, high: number) => {
    const { ticks, format } = linearScale({ domain: [low, high], range: [0, 1], count: 4, nice: true });
    return ticks.map(format);
  };
  t.deepEqual(texts(0, 40_000), ['0', '10k', '20k', '30k', '40k']);
  t.deepEqual(texts(0, 0.0004), ['0', '1e−4', '2e−4', '3e−4', '4e−4']);
  t.deepEqual(texts(-1, 1), ['−1.0', '−0.5', '0.0', '0.5', '1.0']);
  t.deepEqual(texts(5, 5).length > 2, true);
});

test('every tick lies in the domain, in order, and no two are written the same', (t) => {
  const finite = fc.double({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(finite, finite, fc.integer({ min: 2, max: 10 }), fc.boolean(), (a, b, count, nice) => {
      fc.pre(a === b || Math.abs(a - b) > 1e-3);
      const { domain, ticks, format, at } = linearScale({
        domain: [Math.min(a, b), Math.max(a, b)],
        range: [0, 100],
        count,
        nice,
      });
      t.true(ticks.length >= 1 && ticks.length <= 3 * count + 3);
      t.is(new Set(ticks.map(format)).size, ticks.length);
      for (const tick of ticks) t.true(at(tick) > -0.01 && at(tick) < 100.01, `${tick} in ${domain}`);
    }),
    { numRuns: 300 },
  );
});

test('downsampling keeps order, ends and extremes, and little else', (t) => {
  const value = fc.double({ min: -1e9, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 600 }),
      fc.integer({ min: 1, max: 40 }),
      (values, buckets) => {
        const points = values.map((y, x) => ({ x, y }));
        const kept = downsample(points, buckets);
        t.true(kept.length <= Math.max(2 * buckets + 2, 0));
        t.deepEqual([kept[0], kept.at(-1)], [points[0], points.at(-1)]);
        t.is(Math.max(...kept.map(({ y }) => y)), Math.max(...values));
        t.is(Math.min(...kept.map(({ y }) => y)), Math.min(...values));
        t.true(kept.every((point, i) => i === 0 || point.x > kept[i - 1]!.x));
      },
    ),
    { numRuns: 200 },
  );
});

/** The points of the first curve of a chart. */
function curveOf(svg: string): number[][] {
  const path = /<path class="curve s0" d="M([^"]*)"/.exec(svg.slice(svg.lastIndexOf('class="axis"')))![1]!;
  return path.split('L').map((pair) => pair.split(' ').map(Number));
}

test('a curve is drawn where its values are on the axes', (t) => {
  const points = [0, 1, 2, 3, 4].map((x) => ({ x: 10 * x, y: x * x }));
  const svg = svgElement(
    lineChart({ title: 'Squares', xName: 'x', yName: 'y', series: [{ name: 'square', points }] }),
    'squares',
  );
  const drawn = curveOf(svg);
  t.is(drawn.length, 5);
  const [first, , middle, , last] = drawn;
  // Equal steps of x; heights as 0, 4 and 16. Coordinates of some hundred are written with two decimals.
  near(t, middle![0]!, (first![0]! + last![0]!) / 2, 0.01);
  near(t, (first![1]! - middle![1]!) / (first![1]! - last![1]!), 4 / 16, 1e-4);
  // The bottom of the axis is 0.
  const [, zero] = /text-anchor="end">0<|y="([\d.]+)" text-anchor="end">0</.exec(svg)!;
  t.is(Number(zero) - 4, first![1]!);
  t.deepEqual(unbalanced(svg), []);
});

test('a chart is named and described for readers who do not see it, and all its texts are escaped', (t) => {
  const evil = '</svg><script>"&\'';
  const charts = [
    lineChart({
      title: evil,
      xName: evil,
      yName: evil,
      series: [
        {
          name: evil,
          points: [
            { x: 1, y: 1 },
            { x: 2, y: 5 },
          ],
        },
      ],
      mark: { name: evil, y: 3 },
    }),
    barChart({
      title: evil,
      valueName: evil,
      bars: [
        { name: evil, value: 5 },
        { name: 'none', value: null },
      ],
      maximum: 100,
      marks: [{ name: evil, value: 7 }],
    }),
    heatMap({
      title: evil,
      names: [evil, 'b'],
      counts: [
        [3, 1],
        [0, 4],
      ],
      rowName: evil,
      columnName: evil,
    }),
  ];
  for (const chart of charts) {
    const svg = svgElement(chart, 'one');
    t.false(svg.includes('<script'));
    t.is(svg.match(/<\/svg>/g)!.length, 1);
    t.deepEqual(unbalanced(svg), []);
    t.regex(svg, /^<svg class="chart" role="img" [^>]*aria-labelledby="one-t one-d"><title id="one-t">&lt;\/svg&gt;/);
    t.regex(svg, /<desc id="one-d">[^<]{20,}<\/desc>/);
  }
});

test('a class without a figure has no bar and says so; the others are as long as their value', (t) => {
  const bars = [
    { name: 'road', value: 80 },
    { name: 'sky', value: 40 },
    { name: 'train', value: null },
  ];
  const { body } = barChart({ title: 'IoU', valueName: 'IoU, %', bars, maximum: 100, marks: [] });
  const widths = [...body.matchAll(/<rect class="f0"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
  t.is(widths.length, 2);
  // Two decimals of some hundred.
  near(t, widths[0]! / widths[1]!, 2, 1e-4);
  t.regex(body, />no figure</);
});

test('shares of a confusion matrix are of the row; a label that never occurs has none', (t) => {
  const counts = [
    [6, 2],
    [0, 0],
  ];
  t.deepEqual(rowShares(counts), [
    [0.75, 0.25],
    [0, 0],
  ]);
  t.deepEqual(mostConfused(['a', 'b'], counts, 5), [{ label: 'a', prediction: 'b', share: 0.25 }]);
  const { body } = heatMap({ title: 'c', names: ['a', 'b'], counts, rowName: 'label', columnName: 'prediction' });
  t.regex(body, new RegExp(`<path class="h${(HEAT_LEVELS * 3) / 4}" d="M0 0h1v1h-1z"/>`));
  t.regex(body, new RegExp(`<path class="h${HEAT_LEVELS / 4}" d="M1 0h1v1h-1z"/>`));
  t.regex(body, />75<.*>25</s);
  // A key of all levels, and the row of nothing struck out where it would look like zeros.
  t.is(body.match(/<rect class="h\d+"/g)!.length, HEAT_LEVELS + 1);
  t.regex(body, />no pixel of this label</);
  t.is(body.match(/<path class="axis"/g)!.length, 2);
  const whole = heatMap({ title: 'c', names: ['a'], counts: [[1]], rowName: 'label', columnName: 'prediction' });
  t.notRegex(whole.body, /<path class="axis"/);
});

test('the matrix of 150 classes has few elements', (t) => {
  const names = Array.from({ length: 150 }, (_, i) => `class ${i}`);
  const counts = names.map((_, row) => names.map((_, column) => ((row * 7 + column * 13) % 10) + 1));
  const svg = svgElement(heatMap({ title: 'c', names, counts, rowName: 'label', columnName: 'prediction' }), 'c');
  t.true(svg.match(/<[a-z]/g)!.length < 60);
  t.true(svg.length < 450_000);
});

test('texts and curves can be read on their paper, in light and dark', (t) => {
  for (const colours of Object.values(CHART_COLOURS)) {
    for (const colour of [colours.ink, colours.soft]) t.true(contrast(colour, colours.paper) >= 4.5, colour);
    for (const colour of colours.series) t.true(contrast(colour, colours.paper) >= 3, colour);
    for (let level = 0; level <= HEAT_LEVELS; level++) {
      const colour = heatColour(colours, level);
      t.true(contrast(textColourOn(colour), colour) >= 4.5, colour);
    }
  }
  t.is(contrast('#000000', '#ffffff'), 21);
});

test('a chart of its own brings its style and paper', (t) => {
  const chart = lineChart({
    title: 'T',
    xName: 'x',
    yName: 'y',
    series: [
      {
        name: 's',
        points: [
          { x: 0, y: 1 },
          { x: 1, y: 2 },
        ],
      },
    ],
  });
  const own = standaloneSvg(chart, 'dark');
  t.true(own.startsWith('<svg xmlns="http://www.w3.org/2000/svg" '));
  t.regex(own, /<text [^>]*class="name title">T<\/text>/);
  t.true(own.includes(CHART_COLOURS.dark.paper) && !own.includes('@media'));
  t.regex(standaloneSvg(chart, null), /prefers-color-scheme: dark/);
  t.deepEqual(unbalanced(own), []);
});
