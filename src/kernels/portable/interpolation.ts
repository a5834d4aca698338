/**
 * The matrix of a bilinear resize along one axis, transposed: [input size, output size], row-major, so that it times the
 * output's gradient is the input's. Column d holds the weights of the two input pixels around the source of output
 * pixel d (`Kernels.resizeBilinear` says where that is). Sources are computed in float64.
 */
export function transposedInterpolation(inputSize: number, outputSize: number, alignCorners: boolean): Float32Array {
  const matrix = new Float64Array(inputSize * outputSize);
  const alignedScale = outputSize > 1 ? (inputSize - 1) / (outputSize - 1) : 0;
  for (let d = 0; d < outputSize; d++) {
    const source = alignCorners ? d * alignedScale : Math.max(((d + 0.5) * inputSize) / outputSize - 0.5, 0);
    const lower = Math.min(Math.floor(source), inputSize - 1);
    const upper = Math.min(lower + 1, inputSize - 1);
    const weight = source - lower;
    matrix[lower * outputSize + d]! += 1 - weight;
    matrix[upper * outputSize + d]! += weight;
  }
  return Float32Array.from(matrix);
}
