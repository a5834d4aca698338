import type { BufferSlot, ElementType, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { flatProgram } from '../../engines/webgpu/wgsl.js';
import { type Factor, productProgram } from './product.js';
import type { Tile } from './tile.js';

export interface FilterGradientOptions {
  readonly tile: Tile;
  /** Of the input and the gradient. */
  readonly image: ElementType;
  /** Of the result: float32 for parts that are added up later. */
  readonly result: ElementType;
  /** Values that are read from the input, read from the gradient (and written) at a time. */
  readonly widths: { readonly input: 1 | 4; readonly gradient: 1 | 4 };
}

const parameters: UniformTypes = {
  rows: 'u32',
  columns: 'u32',
  /** All pixels of the gradient, and how many a part of the sum takes: a multiple of the depth. */
  pixels: 'u32',
  part_pixels: 'u32',
  channels: 'u32',
  filter_width: 'u32',
  /** Of the gradient. */
  height: 'u32',
  width: 'u32',
  input_height: 'u32',
  input_width: 'u32',
  stride: 'u32',
  dilation: 'u32',
  padding: 'u32',
};

/**
 * The gradient of a filter as a product of matrices: rows are taps with input channels, columns output channels, and the terms are the
 * pixels of the gradient. Parts of the terms are summed by different workgroups (`part`), into matrices of their own.
 */
export function filterGradientProgram(options: FilterGradientOptions): Omit<Program, 'name'> {
  const { tile, image, result, widths } = options;
  const slots: BufferSlot[] = [
    { name: 'input', type: image, width: widths.input, access: 'read' },
    { name: 'gradient', type: image, width: widths.gradient, access: 'read' },
    { name: 'result', type: result, width: widths.gradient, access: 'read_write' },
  ];
  return productProgram({
    tile,
    slots,
    parameters,
    functions: FUNCTIONS,
    setup: `  let first_pixel = part * p.part_pixels;
  let last_pixel = min(first_pixel + p.part_pixels, p.pixels);
  let steps = (max(last_pixel, first_pixel) - first_pixel + ${tile.depth - 1}u) / ${tile.depth}u;
  var pixel = first_pixel;`,
    a: widths.input === 4 ? inputFactor : scalarInputFactor,
    b: gradientFactor(widths.gradient),
    advance: `      pixel += ${tile.depth}u;`,
    storeSetup: '',
    store: storeStatements(widths.gradient),
  });
}

const FUNCTIONS = `
/** Where a row's tap lies relative to a pixel of the gradient, y and x, and its channel. */
fn tap_of(row: u32) -> vec3i {
  let tap = row / p.channels;
  return vec3i(
    i32(tap / p.filter_width * p.dilation) - i32(p.padding),
    i32(tap % p.filter_width * p.dilation) - i32(p.padding),
    i32(row % p.channels),
  );
}
/** Image, y and x of a pixel of the gradient. */
fn position_of(pixel: u32) -> vec3u {
  let line = pixel / p.width;
  return vec3u(line / p.height, line % p.height, pixel % p.width);
}
fn next_position(position: vec3u) -> vec3u {
  let is_end = position.z + 1u == p.width;
  let is_last = is_end & (position.y + 1u == p.height);
  let y = select(position.y, position.y + 1u, is_end);
  return vec3u(position.x + u32(is_last), select(y, 0u, is_last), select(position.z + 1u, 0u, is_end));
}
/** The input's value at a tap of a pixel; -1 outside. */
fn tapped(position: vec3u, tap: vec3i) -> i32 {
  let y = i32(position.y * p.stride) + tap.x;
  let x = i32(position.z * p.stride) + tap.y;
  let is_inside = (y >= 0) & (x >= 0) & (y < i32(p.input_height)) & (x < i32(p.input_width));
  let at = ((i32(position.x * p.input_height) + y) * i32(p.input_width) + x) * i32(p.channels) + tap.z;
  return select(-1, at, is_inside);
}`;

const LANES = [0, 1, 2, 3] as const;

/** Four channels of a tap at a time. */
const inputFactor: Factor = {
  termsAreContiguous: false,
  setup: '  let tap = tap_of(first);',
  load: pixelsOfBlock(
    (term) => `          let at = tapped(position, tap);
          if ((at >= 0) & (first < p.rows)) { block[${term}] = load_input(u32(at) / 4u); }`,
  ),
};

/** Channels of which the number is no multiple of 4: neighbouring rows may belong to different taps. */
const scalarInputFactor: Factor = {
  termsAreContiguous: false,
  setup: LANES.map((lane) => `  let tap_${lane} = tap_of(first + ${lane}u);`).join('\n'),
  load: pixelsOfBlock((term) =>
    LANES.map(
      (lane) => `          {
            let at = tapped(position, tap_${lane});
            if ((at >= 0) & (first + ${lane}u < p.rows)) { block[${term}][${lane}] = load_input(u32(at)); }
          }`,
    ).join('\n'),
  ),
};

function pixelsOfBlock(load: (term: number) => string): string {
  const terms = LANES.map(
    (term) => `        if (begin + ${term}u < last_pixel) {
${load(term)}
        }
        position = next_position(position);`,
  );
  return `        let begin = pixel + depth;\n        var position = position_of(begin);\n${terms.join('\n')}`;
}

function gradientFactor(width: 1 | 4): Factor {
  const load = LANES.map((term) => {
    const at = `(begin + ${term}u) * p.columns + first`;
    const whole = `block[${term}] = load_gradient((${at}) / 4u);`;
    const each = LANES.map(
      (i) => `if (first + ${i}u < p.columns) { block[${term}][${i}] = load_gradient(${at} + ${i}u); }`,
    );
    const isColumn = width === 4 ? '(first < p.columns)' : 'true';
    return `        if ((begin + ${term}u < last_pixel) & ${isColumn}) {
          ${width === 4 ? whole : each.join('\n          ')}
        }`;
  }).join('\n');
  return { termsAreContiguous: false, setup: '', load: `        let begin = pixel + depth;\n${load}` };
}

function storeStatements(width: 1 | 4): string {
  const at = '(part * p.rows + row) * p.columns + column';
  if (width === 4) return `      if (column < p.columns) { store_result((${at}) / 4u, sums); }`;
  const lanes = LANES.map(
    (lane) => `      if (column + ${lane}u < p.columns) { store_result(${at} + ${lane}u, sums[${lane}]); }`,
  );
  return lanes.join('\n');
}

/** Adds up the parts of a sum, in order. */
export function sumOfParts({ result }: { readonly result: ElementType }): Omit<Program, 'name'> {
  return flatProgram({
    slots: [
      { name: 'parts', type: 'f32', access: 'read' },
      { name: 'result', type: result, access: 'read_write' },
    ],
    parameters: { parts_count: 'u32' },
    body: `  var sum = 0.0;
  for (var part = 0u; part < p.parts_count; part++) { sum += load_parts(part * p.size + i); }
  store_result(i, sum);`,
  });
}
