import { PbfWriter } from 'pbf';

/** Element types of ONNX tensors that a network here needs, with their numbers in the format (TensorProto.DataType). */
export const ELEMENT_TYPES = { float32: 1, uint8: 2, int64: 7, float16: 10 } as const;
type ElementType = keyof typeof ELEMENT_TYPES;

/** A constant of a graph. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Little-endian values in row-major order. */
  readonly bytes: Uint8Array;
}

/** A node's attribute: a whole number, whole numbers, a text, or a number that is written as a float. */
export type Attribute = number | readonly number[] | string | { readonly float: number };

export interface OnnxNode {
  readonly name: string;
  /** "Conv"; of the default operator set. */
  readonly operator: string;
  /** Names of values; '' leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** An input or output of a graph. A dimension that is a name may have any size. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxTensor[];
}

export interface OnnxModel {
  readonly graph: OnnxGraph;
  readonly producer: { readonly name: string; readonly version: string };
  /** Version of the default operator set. */
  readonly operatorSet: number;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Version of the format itself: the first with operator set 17. */
const FORMAT_VERSION = 8;

/** Numbers of attribute types in the format (AttributeProto.AttributeType). */
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, ints: 7 } as const;

/**
 * The bytes of an ONNX file: a ModelProto, with the fields in ascending order of their numbers
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 */
export function encodeModel(model: OnnxModel): Uint8Array {
  const bytes = new PbfWriter();
  bytes.writeVarintField(1, FORMAT_VERSION);
  bytes.writeStringField(2, model.producer.name);
  bytes.writeStringField(3, model.producer.version);
  bytes.writeStringField(6, model.description);
  bytes.writeMessage(7, writeGraph, model.graph);
  bytes.writeMessage(8, writeOperatorSet, model.operatorSet);
  for (const entry of Object.entries(model.metadata)) bytes.writeMessage(14, writeMetadata, entry);
  return bytes.finish();
}

/** OperatorSetIdProto; the default set's domain is the empty text. */
function writeOperatorSet(version: number, bytes: PbfWriter): void {
  bytes.writeStringField(1, '');
  bytes.writeVarintField(2, version);
}

/** StringStringEntryProto. */
function writeMetadata([key, value]: readonly [string, string], bytes: PbfWriter): void {
  bytes.writeStringField(1, key);
  bytes.writeStringField(2, value);
}

/** GraphProto. */
function writeGraph({ nodes, name, constants, inputs, outputs }: OnnxGraph, bytes: PbfWriter): void {
  for (const node of nodes) bytes.writeMessage(1, writeNode, node);
  bytes.writeStringField(2, name);
  for (const constant of constants) bytes.writeMessage(5, writeTensor, constant);
  for (const input of inputs) bytes.writeMessage(11, writeValue, input);
  for (const output of outputs) bytes.writeMessage(12, writeValue, output);
}

/** NodeProto. */
function writeNode({ inputs, outputs, name, operator, attributes }: OnnxNode, bytes: PbfWriter): void {
  for (const input of inputs) bytes.writeStringField(1, input);
  for (const output of outputs) bytes.writeStringField(2, output);
  bytes.writeStringField(3, name);
  bytes.writeStringField(4, operator);
  for (const attribute of Object.entries(attributes)) bytes.writeMessage(5, writeAttribute, attribute);
}

/** AttributeProto: the name, the value in the field of its type, and the type. */
function writeAttribute([name, value]: readonly [string, Attribute], bytes: PbfWriter): void {
  bytes.writeStringField(1, name);
  if (typeof value === 'string') {
    bytes.writeStringField(4, value);
    bytes.writeVarintField(20, ATTRIBUTE_TYPES.string);
  } else if (typeof value === 'number') {
    bytes.writeVarintField(3, value);
    bytes.writeVarintField(20, ATTRIBUTE_TYPES.int);
  } else if ('float' in value) {
    bytes.writeFloatField(2, value.float);
    bytes.writeVarintField(20, ATTRIBUTE_TYPES.float);
  } else {
    for (const item of value) bytes.writeVarintField(8, item);
    bytes.writeVarintField(20, ATTRIBUTE_TYPES.ints);
  }
}

/** TensorProto. */
function writeTensor({ shape, type, name, bytes: values }: OnnxTensor, bytes: PbfWriter): void {
  for (const size of shape) bytes.writeVarintField(1, size);
  bytes.writeVarintField(2, ELEMENT_TYPES[type]);
  bytes.writeStringField(8, name);
  bytes.writeBytesField(9, values);
}

/** ValueInfoProto with a TypeProto of a tensor. */
function writeValue({ name, type, shape }: OnnxValue, bytes: PbfWriter): void {
  bytes.writeStringField(1, name);
  bytes.writeMessage(2, writeType, { type, shape });
}

type TensorType = Pick<OnnxValue, 'type' | 'shape'>;

function writeType(tensor: TensorType, bytes: PbfWriter): void {
  bytes.writeMessage(1, writeTensorType, tensor);
}

function writeTensorType({ type, shape }: TensorType, bytes: PbfWriter): void {
  bytes.writeVarintField(1, ELEMENT_TYPES[type]);
  bytes.writeMessage(2, writeShape, shape);
}

function writeShape(shape: TensorType['shape'], bytes: PbfWriter): void {
  for (const size of shape) bytes.writeMessage(1, writeDimension, size);
}

function writeDimension(size: number | string, bytes: PbfWriter): void {
  if (typeof size === 'number') bytes.writeVarintField(1, size);
  else bytes.writeStringField(2, size);
}
