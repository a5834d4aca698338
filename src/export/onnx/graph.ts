import type { Attribute, OnnxNode, OnnxTensor } from './model.js';

/** Collects the nodes and constants of a graph. Names are unique. */
export class GraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];

  /**
   * Adds a node with one output.
   * @param name Of the node and its output.
   * @returns The output's name.
   */
  node(
    operator: string,
    name: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    this.nodes.push({ operator, name, inputs, outputs: [name], attributes });
    return name;
  }

  /** Adds a constant, and returns its name. */
  constant(constant: OnnxTensor): string {
    this.constants.push(constant);
    return constant.name;
  }

  /** Adds float32 values. */
  floats(name: string, shape: readonly number[], values: Float32Array): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return this.constant({ name, type: 'float32', shape, bytes });
  }

  /** Adds a list of whole numbers. */
  integers(name: string, values: readonly number[]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.constant({ name, type: 'int64', shape: [values.length], bytes });
  }
}
