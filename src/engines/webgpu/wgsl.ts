import type { BufferSlot, Program, UniformTypes } from './program.js';

/** Threads of a workgroup in programs that compute each value by itself. */
export const FLAT_THREADS = 64;

/** The type in which a program computes with values of a slot. Sums and products are always float32. */
export function valueType({ type, width = 1 }: Pick<BufferSlot, 'type' | 'width'>): string {
  const scalar = type === 'f16' ? 'f32' : type;
  return width === 1 ? scalar : `vec${width}<${scalar}>`;
}

function storedType({ type, width = 1, atomic = false }: BufferSlot): string {
  const scalar = atomic ? `atomic<${type}>` : type;
  return width === 1 ? scalar : `vec${width}<${scalar}>`;
}

/**
 * Declares buffers and parameters. Of each buffer `x` a program gets `load_x(i)`, and if it may write it `store_x(i, value)`, which
 * convert from and to float32 if it is stored in float16; i counts groups of `width` values. Parameters are the members of `p`.
 */
export function declarations(slots: readonly BufferSlot[], parameters: UniformTypes): string {
  const half = slots.some(({ type, rounded = false }) => type === 'f16' || rounded) ? 'enable f16;\n' : '';
  const members = Object.entries(parameters).map(([name, type]) => `  ${name}: ${type},`);
  return [
    half,
    ...slots.map((slot, binding) => declaration(slot, binding)),
    `struct Parameters {\n${members.length === 0 ? '  unused: u32,' : members.join('\n')}\n}`,
    `@group(0) @binding(${slots.length}) var<uniform> p: Parameters;`,
  ].join('\n');
}

function declaration(slot: BufferSlot, binding: number): string {
  const { name, access, atomic = false } = slot;
  const buffer = `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<${storedType(slot)}>;`;
  if (atomic) return buffer;
  const value = valueType(slot);
  const half = storedType({ ...slot, type: 'f16' });
  const element = slot.rounded === true ? `${half}(${name}[i])` : `${name}[i]`;
  const load = `fn load_${name}(i: u32) -> ${value} { return ${value}(${element}); }`;
  const store = `fn store_${name}(i: u32, value: ${value}) { ${name}[i] = ${storedType(slot)}(value); }`;
  return [buffer, load, ...(access === 'read_write' ? [store] : [])].join('\n');
}

interface FlatProgram {
  readonly slots: readonly BufferSlot[];
  /** Besides `size`, the number of threads that have work. */
  readonly parameters?: UniformTypes;
  /** Functions that the body calls. */
  readonly functions?: string;
  /** Statements of thread `i`. */
  readonly body: string;
}

/** A program whose threads work each for themselves, on one value or one group of values. */
export function flatProgram({ slots, parameters = {}, functions = '', body }: FlatProgram): Omit<Program, 'name'> {
  const all: UniformTypes = { size: 'u32', ...parameters };
  const code = `${declarations(slots, all)}
${functions}
@compute @workgroup_size(${FLAT_THREADS})
fn main(@builtin(global_invocation_id) thread: vec3u, @builtin(num_workgroups) groups: vec3u) {
  // The grid is folded: an axis has at most 65,535 workgroups.
  let i = thread.x + thread.y * groups.x * ${FLAT_THREADS}u;
  if (i >= p.size) { return; }
${body}
}`;
  return { slots, parameters: all, code };
}
