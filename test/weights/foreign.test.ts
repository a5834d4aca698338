import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { readCheckpointFrom } from '../../src/weights/load.js';
import { MemorySource } from '../../src/weights/source.js';
import { pickle, uint, zip } from './builders.js';

const open = (file: string, bytes: Uint8Array) => readCheckpointFrom(new MemorySource(file, bytes));
const plain = (text: string) => Buffer.from(text);
const archive = (...names: string[]) => zip(names.map((name) => ({ name, data: plain('x'), method: 8 })));
const field = (number: number, content: Uint8Array | number) =>
  typeof content === 'number'
    ? pickle([number << 3, content])
    : pickle([(number << 3) | 2, (content.length & 0x7f) | 0x80, content.length >> 7], content);

const files: [file: string, bytes: Uint8Array, message: RegExp, next: RegExp][] = [
  ['a.pth', new Uint8Array(), /it is empty/, /Download or write/],
  ['a.safetensors', new Uint8Array(), /it is empty/, /Download or write/],
  [
    'a.pth',
    plain('version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 98\n'),
    /a Git LFS pointer \(\d+ bytes\), not the file itself \(98 bytes\)/,
    /git lfs pull/,
  ],
  [
    'a.pth',
    plain('\ufeffversion https://git-lfs.github.com/spec/v1\r\noid sha256:ab\r\n'),
    /Git LFS pointer/,
    /git lfs pull/,
  ],
  [
    'a.pth',
    plain('\n \t<!DOCTYPE html><head><title> Sign in \u001b[2J</title>'),
    /a web page \(HTML\) with the title "Sign in \\u001b\[2J"/,
    /Download the file itself/,
  ],
  ['a.safetensors', plain('\ufeff<!-- saved --><HTML lang="en">'), /a web page/, /Download the file itself/],
  ['a.pth', Buffer.from('\ufeff<html>', 'utf16le'), /a web page/, /Download the file itself/],
  [
    'a.pth',
    plain('<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code><Message>Not there.</Message></Error>'),
    /an XML text, .*: "NoSuchKey", "Not there\."/,
    /Download/,
  ],
  ['a.pth', plain('{"error":{"status":403}}'), /a JSON text/, /Download/],
  ['a.safetensors', plain('{"e":1,\n{"'), /a JSON text/, /Download/],
  [
    'a.json',
    plain('{"metadata": {}, "weight_map": {"a": "b"}}'),
    /index of weights that lie in several files/,
    /one file/,
  ],
  ['a.h5', pickle('\x89HDF\r\n\x1a\n', new Uint8Array(100)), /an HDF5 file, as Keras writes/, /Keras/],
  ['a.keras', archive('metadata.json', 'config.json', 'model.weights.h5'), /a Keras model/, /Keras/],
  [
    'a.onnx',
    pickle(field(1, 8), field(2, plain('pytorch')), field(7, new Uint8Array(300)), field(8, plain('x'))),
    /an ONNX model/,
    /exported from/,
  ],
  ['saved_model.pb', pickle(field(1, 1), field(2, new Uint8Array(300))), /a TensorFlow SavedModel/, /TensorFlow/],
  [
    'a.index',
    pickle('abc', [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]),
    /part of a TensorFlow checkpoint/,
    /TensorFlow/,
  ],
  ['a.pth', pickle('\x1f\x8b\x08', new Uint8Array(20)), /a gzip archive/, /gunzip/],
  ['a.pth.tar', pickle('model.pth', new Uint8Array(248), 'ustar', new Uint8Array(250)), /a tar archive/, /tar -xf/],
  ['a.npy', pickle('\x93NUMPY', new Uint8Array(20)), /a NumPy array/, /safetensors/],
  ['a.npz', archive('weight.npy', 'bias.npy'), /an archive of NumPy arrays/, /safetensors/],
  ['a.pth', new Uint8Array(5000), /begins with zeros alone/, /Download/],
  [
    'a.pth',
    archive('a/data.pkl', 'a/constants.pkl', 'a/code/__torch__.py', 'a/version'),
    /a TorchScript module \(torch\.jit\.save\), not a state_dict/,
    /torch\.jit\.load\("a\.pth"\)\.state_dict\(\)/,
  ],
  [
    'a.pt2',
    archive('a/archive_format', 'a/models/model.json', 'a/data/weights/weight_0'),
    /a program of torch\.export/,
    /torch\.export\.load\("a\.pt2"\)/,
  ],
  [
    'a.pt2',
    archive('version', 'serialized_exported_program.json', 'serialized_state_dict.pt'),
    /a program of torch\.export/,
    /state_dict/,
  ],
  [
    'a.pt',
    archive('a/.data/python_version', 'a/.data/extern_modules', 'a/model/model.pkl'),
    /an archive of torch\.package/,
    /state_dict/,
  ],
  ['a.zip', archive('weights/best.pth'), /a zip archive with "weights\/best\.pth" in it/, /Unpack it/],
  [
    'a.pkl',
    pickle('\x80\x03}', 'X', uint(4, 5), 'model', 'cnumpy.core.multiarray\n_reconstruct\ns.'),
    /a pickle, but does not begin with PyTorch's magic number: torch\.save did not write it/,
    /detectron2/,
  ],
  ['a.pkl', pickle('\x80\x03cos\nsystem\n.'), /names "os\.system"/, /do not open this one/],
  ['a.pth', plain('just words'), /neither a PyTorch checkpoint \(\.pth\) nor a safetensors file/, /another copy/],
];

for (const [index, [file, bytes, message, next]] of files.entries()) {
  test(`${index + 1}: ${file} is called what it is: ${message.source}`, (t) => {
    const error = t.throws(() => open(file, bytes), { instanceOf: UserError, message });
    t.true(error.message.startsWith(`Cannot read weights from ${file}: `));
    t.false(error.message.includes('\n'));
    t.regex(error.next!, next);
  });
}
