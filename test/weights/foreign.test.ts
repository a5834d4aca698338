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
    /an XML text .*: "NoSuchKey", "Not there\."/,
    /Download/,
  ],
  ['a.pth', plain('{"error":{"status":403}}'), /a JSON text/, /Download/],
  ['a.safetensors', plain('{"e":1,\n{"'), /a JSON text/, /Download/],
  ['a.json', plain('{"metadata": {}, "weight_map": {"a": "b"}}'), /index of weights in several files/, /one file/],
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
  ['a.pth', new Uint8Array(5000), /begins with nothing but zeros/, /Download/],
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
  ['a.pkl', plain("cposix\nsystem\n(S'id'\ntR."), /names "posix\.system", which runs programs/, /do not open this one/],
  ['a.pkl', plain('(lp0\nccode\ninteract\n)Ra.'), /names "code\.interact", which loads or runs code/, /do not open/],
  ['a.pkl', pickle('\x80\x03cos\nsystem\n.'), /names "os\.system"/, /do not open this one/],
  ...[
    '404: Not Found',
    'Not Found',
    'Entry not found',
    'Access denied\n',
    'Access to model x/y is restricted.',
    'Invalid username or password.',
    'Too Many Requests',
    '503 Service Unavailable',
    'Error: quota exceeded',
  ].map((answer): (typeof files)[number] => [
    'a.pth',
    plain(answer),
    /a text that a server sent instead of the file: "/,
    /Download the file itself/,
  ]),
  [
    'a.pth',
    plain('../../.git/annex/objects/Xy/0k/MD5E-s3--ab.pth/MD5E-s3--ab.pth'),
    /a git-annex pointer/,
    /git annex get/,
  ],
  ['a.pth', plain('.git/annex/objects/Xy/0k/MD5E-s3--ab'), /a git-annex pointer/, /git annex get/],
  ['a.pth', plain('../blobs/0123abcd'), /the text of a link to "\.\.\/blobs\/0123abcd"/, /core\.symlinks/],
  ['a.mat', pickle('MATLAB 5.0 MAT-file, Platform: x'.padEnd(124), '\x00\x01IM'), /a MAT-file/, /loadmat/],
  [
    'a.h5',
    pickle(new Uint8Array(1024), '\x89HDF\r\n\x1a\n', new Uint8Array(90)),
    /HDF5 file with a user block/,
    /safetensors/,
  ],
  ['a.caffemodel', pickle(field(1, plain('net')), [0xa2, 0x06, 2, 1, 2]), /a Caffe model/, /blobs/],
  ['a.mlmodel', pickle(field(1, 5), field(2, plain('x')), [0xa2, 0x1f, 2, 1, 2]), /a Core ML model/, /converted from/],
  [
    'a.pb',
    pickle(field(1, plain('\n\x05input\x12\x01x')), field(1, plain('\n\x01a\x12\x01x')), field(4, plain('\x08\x01'))),
    /a frozen graph of TensorFlow/,
    /TensorFlow/,
  ],
  ['a.pkl', plain('(dp0\nVa\np1\n(lp2\nI1\nas.'), /a pickle of protocol 0/, /torch\.save/],
  [
    'a.pkl',
    pickle('\x80\x04}\x8c\x01w\x8c\x0dtorch.storage\x8c\x10_load_from_bytes\x93s.'),
    /a pickle of tensors that pickle\.dump wrote/,
    /instead of pickle\.dump/,
  ],
  ['a.pth', plain('just words'), /neither a PyTorch checkpoint \(\.pth\) nor a safetensors file/, /another copy/],
];

for (const [index, [file, bytes, message, next]] of files.entries()) {
  test(`${index + 1}: ${file} is recognized: ${message.source}`, (t) => {
    const error = t.throws(() => open(file, bytes), { instanceOf: UserError, message });
    t.true(error.message.startsWith(`Cannot read weights from ${file}: `));
    t.false(error.message.includes('\n'));
    t.regex(error.next!, next);
  });
}
