#!/usr/bin/env bash
# webgpu 0.6.2 (Dawn for Node): an error that no error scope catches is printed on stdout.
#
# A good guess: warnings of a library go to stderr, so a program may print JSON on stdout. Here a shader that does not compile throws
# nothing and prints its message on stdout, in the middle of the program's own output. An `uncapturederror` listener alone changes nothing;
# only its event.preventDefault() keeps the message away.
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
const listener = process.argv[2];
let heard = 0;
if (listener !== 'none') {
  device.addEventListener('uncapturederror', (event) => {
    heard += 1;
    if (listener === 'prevents') event.preventDefault();
  });
}
// `u3` is no type of WGSL.
device.createShaderModule({ code: 'var<private> count: u3;' });
await device.queue.onSubmittedWorkDone();
console.error(`heard ${heard}`);
device.destroy();
JS
expect() {
  local listener=$1 expected=$2 found
  VK_DRIVER_FILES="$PWD/vk_swiftshader_icd.json" LD_LIBRARY_PATH="$PWD" node probe.mjs "$listener" >stdout 2>stderr
  found="$(cat stderr), $([ -s stdout ] && echo 'printed on stdout' || echo 'nothing printed')"
  echo "listener $listener: $found"
  [ "$found" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
}
expect none 'heard 0, printed on stdout'
expect hears 'heard 1, printed on stdout'
expect prevents 'heard 1, nothing printed'
