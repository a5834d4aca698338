#!/usr/bin/env bash
# TensorFlow.js 4.22.0, WebAssembly backend: a convolution keeps two more copies of its filter for as long as the filter lives.
#
# A good guess: memory is the tensors that tf.memory() counts. It is not: the backend caches an operator for each filter, which
# holds the filter transposed and the filter packed, and for filters larger than 1×1 a pointer for each output pixel and tap. Neither is in
# tf.memory(), and all of it stays until the filter is disposed. Seen: a filter of 33.6 MB convolved with one pixel of 1024
# channels; the heap grew by 34 MB when the filter was made, and by at least twice as much again in the convolution.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --ignore-scripts --no-audit --no-fund --silent @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
cat >probe.js <<'JS'
const path = require('node:path');
const tf = require('@tensorflow/tfjs-core');
const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');
const folder = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm'));
setWasmPaths(folder + path.sep);
tf.setBackend('wasm').then(() => {
  const heap = () => tf.backend().wasm.HEAPU8.length;
  const start = heap();
  // 1×1 taps, 1024 → 8192 channels: 8,388,608 values.
  const filter = tf.zeros([1, 1, 1024, 8192]);
  const made = heap();
  const image = tf.zeros([1, 1, 1, 1024]);
  tf.conv2d(image, filter, 1, 'same').dispose();
  const used = heap();
  const bytes = filter.size * 4;
  console.log(JSON.stringify({ bytes, grownByFilter: made - start, grownByConvolution: used - made, counted: tf.memory().numBytes }));
});
JS
result=$(node probe.js)
echo "$result"
node -e '
  const { bytes, grownByConvolution, counted } = JSON.parse(process.argv[1]);
  if (grownByConvolution < 1.9 * bytes) throw new Error("The convolution keeps less than two copies of the filter now.");
  if (counted > 1.1 * bytes) throw new Error("tf.memory() counts the copies now.");
  console.log("As described: the copies are there, and tf.memory() does not count them.");
' "$result"
