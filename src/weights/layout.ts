/**
 * Convolution weights are OIHW (output channel, input channel, row, column) in files, as PyTorch has them, and HWIO on
 * the engines, as TensorFlow has them.
 */
type Shape4D = readonly [number, number, number, number];

/** OIHW values of shape [O,I,H,W] → HWIO values of shape [H,W,I,O]. */
export function oihwToHwio(values: Float32Array, [outputs, inputs, height, width]: Shape4D): Float32Array {
  const result = new Float32Array(values.length);
  const area = height * width;
  let source = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let tap = 0; tap < area; tap++) result[(tap * inputs + i) * outputs + o] = values[source++]!;
    }
  }
  return result;
}

/** HWIO values of shape [H,W,I,O] → OIHW values of shape [O,I,H,W], in `result`, an array of as many. */
export function hwioToOihw(
  values: Float32Array,
  [height, width, inputs, outputs]: Shape4D,
  result: Float32Array = new Float32Array(values.length),
): Float32Array {
  const area = height * width;
  let source = 0;
  for (let tap = 0; tap < area; tap++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) result[(o * inputs + i) * area + tap] = values[source++]!;
    }
  }
  return result;
}

/** The axes of an OIHW shape in HWIO order. */
export function hwioShape([outputs, inputs, height, width]: Shape4D): [number, number, number, number] {
  return [height, width, inputs, outputs];
}

/** The axes of an HWIO shape in OIHW order. */
export function oihwShape([height, width, inputs, outputs]: Shape4D): [number, number, number, number] {
  return [outputs, inputs, height, width];
}
