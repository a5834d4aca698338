import type { BufferSlot, Program, UniformTypes } from '../../engines/webgpu/program.js';
import { declarations } from '../../engines/webgpu/wgsl.js';
import { type Tile, tileSize } from './tile.js';

/** How a factor's values reach shared memory. */
export interface Factor {
  /** Whether neighbouring terms lie one after the other in memory, instead of neighbouring rows (or columns). */
  readonly termsAreContiguous: boolean;
  /** Statements before the sum, with `first`: the first row (or column) of the thread's block, and `depth`: its first term in a step. */
  readonly setup: string;
  /**
   * Statements that set `block`, a mat4x4f, to the values of step `step`. If terms are contiguous, each of its columns holds four terms of a
   * row, else four rows of a term.
   */
  readonly load: string;
}

interface ProductProgram {
  readonly tile: Tile;
  readonly slots: readonly BufferSlot[];
  /** Besides `row_tiles` and `column_tiles`; `rows` is one of them. */
  readonly parameters: UniformTypes;
  readonly functions: string;
  /** Statements before anything is loaded; `part` counts the parts of the terms. They set `steps`. */
  readonly setup: string;
  readonly a: Factor;
  readonly b: Factor;
  /** Statements after each load, which go on to the next step. */
  readonly advance: string;
  /** Statements for a row, before its columns are stored. */
  readonly storeSetup: string;
  /** Statements that store `sums`, four columns from `column` on, of `row`; only of rows that there are, but of any columns. */
  readonly store: string;
}

/** One more group between rows of shared memory, so that threads that write different terms meet different banks. */
const PADDING = 1;
const COMPONENTS = ['x', 'y', 'z', 'w'] as const;

/**
 * A matrix product in tiles: A of [rows, terms] times B of [terms, columns]. The values of the next step are loaded into registers
 * while this one's are multiplied. Sums are taken term after term, whatever the tile, so the tile does not change them.
 */
export function productProgram(product: ProductProgram): Omit<Program, 'name'> {
  const { tile, slots, setup, a, b, advance } = product;
  const { rows, columns } = tileSize(tile);
  const threads = tile.rows * tile.columns;
  const parameters: UniformTypes = { row_tiles: 'u32', column_tiles: 'u32', ...product.parameters };
  const blocks = { a: (rows * tile.depth) / 16, b: (columns * tile.depth) / 16 };
  // Where there are enough threads, some load A and the others B.
  const isDivided = blocks.a + blocks.b <= threads;
  const firstOfB = isDivided ? blocks.a : 0;
  // Then a thread needs registers for one block only.
  const blockOf = (name: 'a' | 'b') => (isDivided ? 'a_block' : `${name}_block`);
  const code = `${declarations(slots, parameters)}
${product.functions}
var<workgroup> a_tile: array<vec4f, ${tile.depth * (rows / 4 + PADDING)}>;
var<workgroup> b_tile: array<vec4f, ${tile.depth * (columns / 4 + PADDING)}>;

@compute @workgroup_size(${threads})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let tile = workgroup.x + workgroup.y * groups.x;
  if (tile >= p.row_tiles * p.column_tiles) { return; }
  // Neighbouring workgroups share rows, which are the larger factor.
  let first_row = tile / p.column_tiles * ${rows}u;
  let first_column = tile % p.column_tiles * ${columns}u;
  let part = workgroup.z;
  let thread_row = thread / ${tile.columns}u;
  let thread_column = thread % ${tile.columns}u;
${setup}
${factorSetup('a', a, rows, tile, 'thread', 'first_row')}
${factorSetup('b', b, columns, tile, `thread - ${firstOfB}u`, 'first_column')}
${sums(tile)
  .map((name) => `  var ${name} = vec4f();`)
  .join('\n')}
  for (var step = 0u; ; step++) {
    var a_block = mat4x4f();
    ${isDivided ? '' : 'var b_block = mat4x4f();'}
    if (step < steps) {
      if (thread < ${blocks.a}u) {
${named(a.load, 'a').replaceAll(/\bblock\b/g, blockOf('a'))}
      }
      if (thread >= ${firstOfB}u && thread < ${firstOfB + blocks.b}u) {
${named(b.load, 'b').replaceAll(/\bblock\b/g, blockOf('b'))}
      }
${advance}
    }
    if (step > 0u) {
${multiplication(tile)}
    }
    if (step == steps) { break; }
    workgroupBarrier();
    if (thread < ${blocks.a}u) {
${factorStore('a', blockOf('a'), a, rows)}
    }
    if (thread >= ${firstOfB}u && thread < ${firstOfB + blocks.b}u) {
${factorStore('b', blockOf('b'), b, columns)}
    }
    workgroupBarrier();
  }
${results(tile, product)}
}`;
  return { slots, parameters, code };
}

/** Names of a thread's sums: a vector of four columns for each row and group of columns. */
function sums({ threadRows, threadColumns }: Tile): string[] {
  return range(threadRows).flatMap((row) => range(threadColumns / 4).map((group) => `sum_${row}_${group}`));
}

/** Which block of 4×4 values the thread loads: neighbouring threads take neighbouring values in memory. */
function factorSetup(
  name: 'a' | 'b',
  { termsAreContiguous, setup }: Factor,
  extent: number,
  { depth }: Tile,
  index: string,
  origin: string,
): string {
  const fast = termsAreContiguous ? depth / 4 : extent / 4;
  const [group, term] = termsAreContiguous ? ['/', '%'] : ['%', '/'];
  return `  let ${name}_group = (${index}) ${group} ${fast}u;
  let ${name}_depth = (${index}) ${term} ${fast}u * 4u;
  let ${name}_first = ${origin} + ${name}_group * 4u;
${named(setup, name)}`;
}

/** A factor's statements with its own names. */
function named(statements: string, name: 'a' | 'b'): string {
  return statements.replaceAll(/\b(first|depth)\b/g, `${name}_$1`);
}

/** In shared memory four neighbouring rows (or columns) of a term are a vector. */
function factorStore(name: 'a' | 'b', block: string, { termsAreContiguous }: Factor, extent: number): string {
  const value = termsAreContiguous ? `transpose(${block})` : block;
  const stores = range(4).map(
    (term) =>
      `      ${name}_tile[(${name}_depth + ${term}u) * ${extent / 4 + PADDING}u + ${name}_group] = values[${term}];`,
  );
  return [`      let values = ${value};`, ...stores].join('\n');
}

function multiplication(tile: Tile): string {
  const { threadRows, threadColumns, rows, columns, depth } = tile;
  const size = tileSize(tile);
  const [rowGroups, columnGroups] = [range(threadRows / 4), range(threadColumns / 4)];
  const loads = [
    ...rowGroups.map(
      (group) => `let a${group} = a_tile[term * ${size.rows / 4 + PADDING}u + ${group * rows}u + thread_row];`,
    ),
    ...columnGroups.map(
      (group) => `let b${group} = b_tile[term * ${size.columns / 4 + PADDING}u + ${group * columns}u + thread_column];`,
    ),
  ];
  const products = range(threadRows).flatMap((row) =>
    columnGroups.map((group) => `sum_${row}_${group} += a${row >> 2}.${COMPONENTS[row % 4]} * b${group};`),
  );
  return `      for (var term = 0u; term < ${depth}u; term++) {
${[...loads, ...products].map((line) => `        ${line}`).join('\n')}
      }`;
}

/** Stores a thread's sums, row by row. */
function results({ threadRows, threadColumns, rows, columns }: Tile, { storeSetup, store }: ProductProgram): string {
  return range(threadRows)
    .map((row) => {
      const groups = range(threadColumns / 4).map(
        (group) => `    {
      let column = first_column + (${group * columns}u + thread_column) * 4u;
      var sums = sum_${row}_${group};
${store}
    }`,
      );
      return `  if (first_row + (${(row >> 2) * rows}u + thread_row) * 4u + ${row % 4}u < p.rows) {
    let row = first_row + (${(row >> 2) * rows}u + thread_row) * 4u + ${row % 4}u;
${storeSetup}
${groups.join('\n')}
  }`;
    })
    .join('\n');
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
