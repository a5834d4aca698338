#!/usr/bin/env bash
# webgpu 0.6.2 (Dawn for Node) on SwiftShader: a shader cannot find NaN or infinity by comparing or multiplying.
#
# A good guess: `x != x` is true for NaN alone, and `x * 0.0` is NaN for NaN and infinity, as IEEE 754 says. Here `x != x` and
# `x == x` are both false for NaN (both comparisons are ordered), and the product with zero is folded to 0. pack2x16float(x, 0)
# of infinity gives the bits of a NaN (0x7fff) and a 2 in the half that should be 0, though 65520 rounds to infinity (0x7c00) as it
# should. WGSL lets an implementation assume that there are no such values.
# What holds is a test of the exponent's bits: (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --ignore-scripts webgpu@0.6.2 @sparticuz/chromium@147.0.2
cat >unpack.mjs <<'JS'
import { readFileSync, writeFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
const packed = readFileSync('node_modules/@sparticuz/chromium/bin/swiftshader.tar.br');
writeFileSync('swiftshader.tar', brotliDecompressSync(packed));
JS
node unpack.mjs
tar -xf swiftshader.tar
cat >probe.mjs <<'JS'
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const gpu = create([]);
const device = await (await gpu.requestAdapter()).requestDevice();
const values = new Float32Array([1, Number.NaN, Number.POSITIVE_INFINITY, 65520]);
const code = `
@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> found: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) index: u32) {
  let x = values[index];
  found[4 * index] = select(0u, 1u, x != x);
  found[4 * index + 1] = select(0u, 1u, x == x);
  found[4 * index + 2] = bitcast<u32>(x * 0.0);
  found[4 * index + 3] = pack2x16float(vec2f(x, 0));
}`;
const size = 4 * 4 * values.length;
const input = device.createBuffer({ size: values.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
const output = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
const copy = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
device.queue.writeBuffer(input, 0, values);
const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module: device.createShaderModule({ code }) } });
const encoder = device.createCommandEncoder();
const pass = encoder.beginComputePass();
pass.setPipeline(pipeline);
const entries = [input, output].map((buffer, binding) => ({ binding, resource: { buffer } }));
pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
pass.dispatchWorkgroups(1);
pass.end();
encoder.copyBufferToBuffer(output, 0, copy, 0, size);
device.queue.submit([encoder.finish()]);
await copy.mapAsync(GPUMapMode.READ);
const found = new Uint32Array(copy.getMappedRange());
values.forEach((value, index) => {
  const [unequal, equal, product, half] = found.slice(4 * index, 4 * index + 4);
  console.log(`${value}: x != x ${unequal}, x == x ${equal}, x * 0 ${product}, half ${half.toString(16)}`);
});
device.destroy();
JS
found=$(VK_DRIVER_FILES="$PWD/vk_swiftshader_icd.json" LD_LIBRARY_PATH="$PWD" node probe.mjs)
echo "$found"
expected='1: x != x 0, x == x 1, x * 0 0, half 3c00
NaN: x != x 0, x == x 0, x * 0 0, half 27fff
Infinity: x != x 0, x == x 1, x * 0 0, half 27fff
65520: x != x 0, x == x 1, x * 0 0, half 7c00'
[ "$found" = "$expected" ] || { echo "expected:"$'\n'"$expected" >&2; exit 1; }
