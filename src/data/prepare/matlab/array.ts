/** A file that is no MAT-file of level 5, a damaged one, or one that holds something else than was asked for. */
export class MatlabError extends Error {
  override readonly name: string = 'MatlabError';
}

/** A file of another version of the format: a whole one, which was saved anew by somebody. */
export class MatlabVersionError extends MatlabError {
  override readonly name = 'MatlabVersionError';
}

/** A whole file in which something else is than was asked for. */
export class MatlabContentError extends MatlabError {
  override readonly name = 'MatlabContentError';
}

export type NumericValues =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Arrays are column-major: the first dimension runs fastest. */
export type MatlabArray =
  | { readonly kind: 'numeric'; readonly dimensions: readonly number[]; readonly values: NumericValues }
  | { readonly kind: 'text'; readonly dimensions: readonly number[]; readonly text: string }
  | { readonly kind: 'cell'; readonly dimensions: readonly number[]; readonly cells: readonly MatlabArray[] }
  | {
      readonly kind: 'struct';
      readonly dimensions: readonly number[];
      /** Of each field, a value an element. */
      readonly fields: ReadonlyMap<string, readonly MatlabArray[]>;
    }
  /** Sparse matrices, objects and functions: their place is known, their content is not read. */
  | { readonly kind: 'unread'; readonly type: string };
