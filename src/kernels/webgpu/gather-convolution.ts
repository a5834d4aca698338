import type { BufferSlot, ElementType, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { type Factor, productProgram } from './product.js';
import type { Tile } from './tile.js';

/** What a program of `gatherConvolution` is made for. */
export interface GatherOptions {
  readonly tile: Tile;
  /** Of the images that are read and written. */
  readonly image: ElementType;
  readonly filter: ElementType;
  /** Whether the source is two images, whose channels are taken one image after the other. */
  readonly joined: boolean;
  /** Whether filters are read by output channel: for the input gradient, whose columns are input channels. */
  readonly transposed: boolean;
  /** Values that are read from images, read from filters and written at a time. */
  readonly widths: { readonly image: 1 | 4; readonly filter: 1 | 4; readonly result: 1 | 4 };
}

/**
 * Positions, along each axis. Row y of the result is at `y · result_step + result_first` of an image of `result_size`, and tap t reads the
 * source at `y · source_step + source_first + t · tap_step`, with the filter's tap `filter_first + t · filter_step`.
 */
const AXIS = [
  ...['size', 'source_size', 'source_step', 'source_first', 'tap_step', 'taps', 'filter_first', 'filter_step'],
  ...['result_size', 'result_step', 'result_first'],
];
const SIGNED = ['source_first', 'tap_step'];

const parameters: UniformTypes = Object.fromEntries([
  ...['rows', 'channels', 'first_channels', 'columns', 'filter_width', 'adds_bias', 'adds_residual', 'relu'].map(
    (name) => [name, 'u32' as const],
  ),
  ...['y', 'x'].flatMap((axis) =>
    AXIS.map((name) => [`${name}_${axis}`, SIGNED.includes(name) ? ('i32' as const) : ('u32' as const)]),
  ),
]);

/**
 * A convolution as a product of matrices of which none is stored: rows are pixels of the result, columns its channels, and the terms of
 * a sum are the taps with the source's channels. The source is read where a tap meets it, and is 0 outside. Forward and, for each phase
 * of the stride, the input gradient are both of this form.
 */
export function gatherConvolution(options: GatherOptions): Omit<Program, 'name'> {
  const { tile, image, filter, widths } = options;
  const read = (name: string, type: ElementType, width: 1 | 4): BufferSlot => ({ name, type, width, access: 'read' });
  return productProgram({
    tile,
    slots: [
      read('source', image, widths.image),
      ...(options.joined ? [read('second', image, widths.image)] : []),
      // Direct convolutions round filters to the precision of the images.
      { ...read('filters', filter, widths.filter), rounded: image === 'f16' && filter === 'f32' },
      // Any buffers if there is no bias or no residual: they are not read then.
      read('bias', 'f32', widths.result),
      read('residual', image, widths.result),
      { name: 'result', type: image, width: widths.result, access: 'read_write' },
    ],
    parameters,
    functions: FUNCTIONS,
    setup: `  let channel_steps = (p.channels + ${tile.depth - 1}u) / ${tile.depth}u;
  let steps = p.taps_y * p.taps_x * channel_steps;
  var tap_y = 0u;
  var tap_x = 0u;
  var channel = 0u;`,
    a: sourceFactor(options),
    b: options.transposed ? transposedFilterFactor(options) : filterFactor(options),
    advance: `      channel += ${tile.depth}u;
      if (channel >= p.channels) {
        channel = 0u;
        tap_x++;
        if (tap_x == p.taps_x) { tap_x = 0u; tap_y++; }
      }`,
    storeSetup: STORE_SETUP,
    store: storeStatements(options),
  });
}

/** A pixel of the result, by its row in the matrix. */
const FUNCTIONS = `
struct Pixel { image: u32, y: u32, x: u32 }
fn pixel_of(row: u32) -> Pixel {
  let line = row / p.size_x;
  return Pixel(line / p.size_y, line % p.size_y, row % p.size_x);
}
/** Where the first tap of a pixel lies: its image's first pixel, y and x, which may be outside. Far outside for rows that there are not. */
fn origin_of(row: u32) -> vec3i {
  let pixel = pixel_of(row);
  let y = i32(pixel.y * p.source_step_y) + p.source_first_y;
  let x = i32(pixel.x * p.source_step_x) + p.source_first_x;
  return vec3i(i32(pixel.image * p.source_size_y * p.source_size_x), select(-${2 ** 30}, y, row < p.rows), x);
}
/** The source's pixel under a tap; -1 outside. Without branches, which software adapters take very long to compile. */
fn tapped(origin: vec3i, tap_y: u32, tap_x: u32) -> i32 {
  let y = origin.y + i32(tap_y) * p.tap_step_y;
  let x = origin.z + i32(tap_x) * p.tap_step_x;
  let is_inside = (y >= 0) & (x >= 0) & (y < i32(p.source_size_y)) & (x < i32(p.source_size_x));
  return select(-1, origin.x + y * i32(p.source_size_x) + x, is_inside);
}
fn filter_tap(tap_y: u32, tap_x: u32) -> u32 {
  let y = p.filter_first_y + tap_y * p.filter_step_y;
  return y * p.filter_width + p.filter_first_x + tap_x * p.filter_step_x;
}`;

const LANES = [0, 1, 2, 3] as const;

function sourceFactor({ widths, joined }: GatherOptions): Factor {
  const setup = LANES.map((lane) => `  let origin_${lane} = origin_of(first + ${lane}u);`).join('\n');
  const load = LANES.map((lane) => {
    const pixel = `u32(pixel_${lane})`;
    const at = `${pixel} * p.channels + begin`;
    const single =
      widths.image === 4
        ? `block[${lane}] = load_source((${at}) / 4u);`
        : LANES.map(
            (i) => `if (begin + ${i}u < p.channels) { block[${lane}][${i}] = load_source(${at} + ${i}u); }`,
          ).join('\n          ');
    // Both images' channels are multiples of 4, so four of them are of one image.
    const either = `if (begin < p.first_channels) {
            block[${lane}] = load_source((${pixel} * p.first_channels + begin) / 4u);
          } else {
            block[${lane}] = load_second((${pixel} * (p.channels - p.first_channels) + begin - p.first_channels) / 4u);
          }`;
    return `        let pixel_${lane} = tapped(origin_${lane}, tap_y, tap_x);
        if ((pixel_${lane} >= 0) & (begin < p.channels)) {
          ${joined ? either : single}
        }`;
  }).join('\n');
  return { termsAreContiguous: true, setup, load: `        let begin = channel + depth;\n${load}` };
}

/** [tap, channel, column]: neighbouring columns are contiguous. */
function filterFactor({ widths }: GatherOptions): Factor {
  const load = LANES.map((term) => {
    const at = `(tap_row + begin + ${term}u) * p.columns + first`;
    const whole = `block[${term}] = load_filters((${at}) / 4u);`;
    const each = LANES.map(
      (i) => `if (first + ${i}u < p.columns) { block[${term}][${i}] = load_filters(${at} + ${i}u); }`,
    );
    const isColumn = widths.filter === 4 ? '(first < p.columns)' : 'true';
    return `        if ((begin + ${term}u < p.channels) & ${isColumn}) {
          ${widths.filter === 4 ? whole : each.join('\n          ')}
        }`;
  }).join('\n');
  return {
    termsAreContiguous: false,
    setup: '',
    load: `        let begin = channel + depth;\n        let tap_row = filter_tap(tap_y, tap_x) * p.channels;\n${load}`,
  };
}

/** [tap, column, channel]: neighbouring channels are contiguous. */
function transposedFilterFactor({ widths }: GatherOptions): Factor {
  const load = LANES.map((lane) => {
    const at = `(tap_row + first + ${lane}u) * p.channels + begin`;
    const whole = `block[${lane}] = load_filters((${at}) / 4u);`;
    const each = LANES.map(
      (i) => `if (begin + ${i}u < p.channels) { block[${lane}][${i}] = load_filters(${at} + ${i}u); }`,
    );
    const isTerm = widths.filter === 4 ? '(begin < p.channels)' : 'true';
    return `        if ((first + ${lane}u < p.columns) & ${isTerm}) {
          ${widths.filter === 4 ? whole : each.join('\n          ')}
        }`;
  }).join('\n');
  return {
    termsAreContiguous: true,
    setup: '',
    load: `        let begin = channel + depth;\n        let tap_row = filter_tap(tap_y, tap_x) * p.columns;\n${load}`,
  };
}

/** The epilogue is chosen as it runs, so that there are few programs. A ReLU keeps NaN, which `max` would lose. */
function epilogue(value: string, column: string, at: string, zero: string): string {
  return `if (p.adds_bias == 1u) { ${value} += load_bias(${column}); }
        if (p.adds_residual == 1u) { ${value} += load_residual(${at}); }
        ${value} = select(${value}, ${zero}, (${value} <= ${zero}) & ${zero === '0.0' ? '(p.relu == 1u)' : 'vec4<bool>(p.relu == 1u)'});
        store_result(${at}, ${value});`;
}

/** Statements before the columns of a row: `pixel_at`, its first value. */
const STORE_SETUP = `    let pixel = pixel_of(row);
    let y = pixel.y * p.result_step_y + p.result_first_y;
    let x = pixel.x * p.result_step_x + p.result_first_x;
    let pixel_at = ((pixel.image * p.result_size_y + y) * p.result_size_x + x) * p.columns;`;

function storeStatements({ widths }: GatherOptions): string {
  if (widths.result === 4) {
    return `      if (column < p.columns) {
        ${epilogue('sums', 'column / 4u', '(pixel_at + column) / 4u', 'vec4f()')}
      }`;
  }
  const lanes = LANES.map(
    (lane) => `      if (column + ${lane}u < p.columns) {
        var value = sums[${lane}];
        ${epilogue('value', `column + ${lane}u`, `pixel_at + column + ${lane}u`, '0.0')}
      }`,
  );
  return lanes.join('\n');
}
