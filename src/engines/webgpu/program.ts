/** How values of a tensor are stored in a buffer. `u32` is a view of bits, of float32 or of flags. */
export type ElementType = 'f32' | 'f16' | 'i32' | 'u32';

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = { f32: 4, f16: 2, i32: 4, u32: 4 };

/** A buffer as a program sees it. */
export interface BufferSlot {
  readonly name: string;
  readonly type: ElementType;
  /** Values that are loaded and stored together; default: 1. */
  readonly width?: 1 | 4;
  readonly access: 'read' | 'read_write';
  /** Whether float32 values are rounded to float16 as they are loaded. */
  readonly rounded?: boolean;
  /** Whether it is used by atomic operations (of integers). */
  readonly atomic?: boolean;
}

/** Numbers that a program gets with each dispatch, by name. */
export type UniformTypes = Readonly<Record<string, 'u32' | 'i32' | 'f32'>>;

/** A compute shader with its interface. Programs are made once for each set of options, and compared by identity. */
export interface Program {
  /** What it does, for messages. */
  readonly name: string;
  readonly slots: readonly BufferSlot[];
  readonly parameters: UniformTypes;
  /** Complete WGSL with an entry point `main`. */
  readonly code: string;
}

/** Values of a program's parameters. */
export type ParameterValues = Readonly<Record<string, number>>;

/** Workgroups along three axes. */
export type Workgroups = readonly [number, number, number];

/** Bytes of a dispatch's parameters at most: the alignment of uniform buffers, so that one fits between two. */
export const PARAMETER_BYTES = 256;

/** Writes parameters in the order in which WGSL's uniform struct has them. */
export function writeParameters(target: DataView, offset: number, program: Program, values: ParameterValues): void {
  let at = offset;
  for (const [name, type] of Object.entries(program.parameters)) {
    const value = values[name];
    if (value === undefined) throw new Error(`${program.name} has no value for ${name}.`);
    if (type === 'f32') target.setFloat32(at, value, true);
    else if (type === 'i32') target.setInt32(at, value, true);
    else target.setUint32(at, value, true);
    at += 4;
  }
  if (at - offset > PARAMETER_BYTES)
    throw new Error(`${program.name} has more than ${PARAMETER_BYTES} bytes of parameters.`);
}

/** Keeps programs by name and options, so that their code is written only once. */
export class ProgramCache {
  private readonly programs = new Map<string, Program>();

  get<O extends object>(name: string, options: O, make: (options: O) => Omit<Program, 'name'>): Program {
    const key = `${name} ${JSON.stringify(options)}`;
    const known = this.programs.get(key);
    if (known !== undefined) return known;
    const program = { name, ...make(options) };
    this.programs.set(key, program);
    return program;
  }
}
