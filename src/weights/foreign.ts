import path from 'node:path';
import { dangerOf } from './dangerous.js';
import { MalformedFileError, quote } from './malformed.js';
import { refusedGlobal } from './pickle.js';
import type { ByteSource } from './source.js';

/** Files that are often given where weights are wanted. Each is told by its content, and called what it is. */

/** Bytes at the beginning of a file that are looked at. */
const HEAD = 4096;

/** Kinds of files by the bytes that they begin with, or have at an offset. */
const SIGNATURES: readonly (readonly [bytes: string, what: string, next: string, offset?: number])[] = [
  [
    '\x89HDF\r\n\x1a\n',
    'it is an HDF5 file, as Keras writes its weights',
    'Load it with Keras, and write the arrays under the names of the network as safetensors.',
  ],
  ['\x1f\x8b', 'it is a gzip archive', 'Unpack it first, with gunzip or tar -xzf, and give the file that was in it.'],
  ['BZh', 'it is a bzip2 archive', 'Unpack it first, with bunzip2 or tar -xjf, and give the file that was in it.'],
  ['\xfd7zXZ\0', 'it is an xz archive', 'Unpack it first, with unxz or tar -xJf, and give the file that was in it.'],
  ['\x28\xb5\x2f\xfd', 'it is a Zstandard archive', 'Unpack it first, with unzstd, and give the file that was in it.'],
  ['7z\xbc\xaf\x27\x1c', 'it is a 7-Zip archive', 'Unpack it first, and give the file that was in it.'],
  ['Rar!', 'it is a RAR archive', 'Unpack it first, and give the file that was in it.'],
  [
    'ustar',
    'it is a tar archive',
    'Unpack it first, with tar -xf, and give the file that was in it. (One that PyTorch before 0.1.12 wrote is to be loaded ' +
      'and saved again with a newer PyTorch.)',
    257,
  ],
  ['\x93NUMPY', 'it is a NumPy array (.npy)', 'Write the arrays of the network under their names as safetensors.'],
  ['GGUF', 'it is a GGUF file, of a language model', 'Give the weights of the network, as .pth or safetensors.'],
  ['TFL3', 'it is a TensorFlow Lite model', 'Give the weights of the network, as .pth or safetensors.', 4],
  [
    'MATLAB 5.0 MAT-file',
    'it is a MAT-file, of MATLAB',
    'Load it with scipy.io.loadmat, and write the arrays under the names of the network as safetensors.',
  ],
  ['\x7fELF', 'it is a program or a library (ELF)', 'Give a file of weights, .pth or safetensors.'],
  ['ftrt', 'it is a TensorRT engine', 'Give the PyTorch weights that it was built from.'],
  ['PK\x05\x06', 'it is an empty zip archive', 'Write or download the file again.'],
  ['\x89PNG', 'it is a PNG image', 'Give a file of weights, .pth or safetensors.'],
  ['\xff\xd8\xff', 'it is a JPEG image', 'Give a file of weights, .pth or safetensors.'],
  ['%PDF', 'it is a PDF document', 'Give a file of weights, .pth or safetensors.'],
];

const DOWNLOAD_AGAIN =
  'Download the file itself: from the address that ends in its name ("raw" or "download", not the page about it), logged in ' +
  'where that is needed.';
const FROM_PICKLE =
  'Where it is a file of your own, save the state_dict in Python with torch.save(MODEL.state_dict(), "weights.pth") instead of ' +
  "pickle.dump. Do not open somebody else's with a reader that runs what it holds.";
const FROM_TENSORFLOW = 'Load it with TensorFlow, and write the arrays under the names of the network as safetensors.';

/** A text that is something else than weights; null where it is no text, or tells nothing. */
export function foreignText(source: ByteSource): MalformedFileError | null {
  const text = textOf(headOf(source));
  return text === null ? null : textKind(text, source.size);
}

/** A file that is something else than weights that are read here, as its bytes tell; null where they tell nothing. */
export function foreignFile(source: ByteSource): MalformedFileError | null {
  const head = headOf(source);
  for (const [bytes, what, next, offset = 0] of SIGNATURES) {
    if (latin1(head.subarray(offset, offset + bytes.length)) === bytes) return new MalformedFileError(what, next);
  }
  if (hasUserBlock(source)) {
    return new MalformedFileError(
      'it is an HDF5 file with a user block before it',
      'Load it with the library that wrote it, and write the arrays under the names of the network as safetensors.',
    );
  }
  const text = latin1(head);
  if (isTextPickle(text)) {
    return refusedName(text) ?? new MalformedFileError('it is a pickle of protocol 0', FROM_PICKLE);
  }
  if (head.every((byte) => byte === 0)) {
    return new MalformedFileError(
      'it begins with zeros alone, as a download leaves it that was interrupted',
      'Download the file again.',
    );
  }
  return foreignModel(source);
}

const HDF5 = '\x89HDF\r\n\x1a\n';

/** HDF5 may begin at 512 bytes, or at any power of two after that. */
function hasUserBlock(source: ByteSource): boolean {
  for (let start = 512; start + HDF5.length <= Math.min(source.size, 2 ** 24); start *= 2) {
    if (latin1(source.read(start, HDF5.length)) === HDF5) return true;
  }
  return false;
}

/** A pickle of protocol 0, or 1, begins with no sign of its own, but with a container, or a class, and a line of the memo. */
function isTextPickle(head: string): boolean {
  return /^(\((dp?|lp?)\d*\n|[\]}]q.|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|ccopy_reg\n)/s.test(head);
}

/** The refusal of a name in the beginning of a pickle of protocol 0; null where all are harmless. */
function refusedName(head: string): MalformedFileError | null {
  for (const [, module, name] of head.matchAll(/[ci]([A-Za-z_][\w.]*)\n([A-Za-z_][\w.]*)\n/g)) {
    const danger = dangerOf(module!, name!);
    if (danger !== null) return refusedGlobal(`${module}.${name}`, danger);
  }
  return null;
}

/** The refusal of a pickle that pickle.dump wrote of tensors: each of them is a file of torch.save within. */
export function plainPickle(): MalformedFileError {
  return new MalformedFileError(
    'it is a pickle of tensors that pickle.dump wrote, whose reading runs other pickles in it; nothing of it was run',
    FROM_PICKLE,
  );
}

function headOf(source: ByteSource): Uint8Array {
  return source.read(0, Math.min(source.size, HEAD));
}

function textKind(text: string, size: number): MalformedFileError | null {
  const is = (what: string, next: string) => new MalformedFileError(`it is ${what}`, next);
  if (/^version https?:\/\/\S+\/spec\/v\d/.test(text)) {
    const bytes = /^size (\d+)/m.exec(text)?.[1];
    return is(
      `a Git LFS pointer (${size} bytes), not the file itself${bytes === undefined ? '' : ` (${bytes} bytes)`}`,
      'Run git lfs pull in its repository, or download the file itself from the page of the repository.',
    );
  }
  if (size <= LONGEST_ANSWER && /^(\S*\/)?\.git\/(modules\/\S+\/)?annex\/objects\/|^\/annex\/objects\//.test(text)) {
    return is('a git-annex pointer, not the file itself', 'Run git annex get on it in its repository.');
  }
  if (/^outs:\s*\n\s*- /.test(text)) {
    return is('a pointer of DVC, not the file itself', 'Run dvc pull on it in its repository.');
  }
  if (/^(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)*<(!doctype\s+html|html|head|body|title|script|meta)\b/i.test(text)) {
    const title = /<title[^>]*>\s*([^<]*?)\s*<\/title>/i.exec(text)?.[1];
    return is(
      `a web page (HTML)${title ? ` with the title ${quote(title)}` : ''}, not a file of weights`,
      DOWNLOAD_AGAIN,
    );
  }
  if (/^<(\?xml\b|[A-Za-z][\w:-]*[\s>/])/.test(text)) {
    const [code, message] = ['Code', 'Message'].map((tag) => {
      return new RegExp(`<${tag}>\\s*([^<]*?)\\s*</${tag}>`, 'i').exec(text)?.[1];
    });
    const says = [code, message].filter((part) => part).map((part) => quote(part!));
    return is(
      `an XML text, as a server answers where it does not give the file${says.length ? `: ${says.join(', ')}` : ''}`,
      DOWNLOAD_AGAIN,
    );
  }
  if (/^\{\s*("|\})|^\[\s*[\]{["\d-]/.test(text)) {
    if (/"weight_map"\s*:/.test(text)) {
      return is(
        'the index of weights that lie in several files',
        'Load them with the library that wrote them, and save all tensors in one file.',
      );
    }
    return is('a JSON text, as a server answers where it does not give the file', DOWNLOAD_AGAIN);
  }
  const answer = answerOf(text, size);
  if (answer !== null)
    return is(`a text, as a server answers where it does not give the file: ${quote(answer)}`, DOWNLOAD_AGAIN);
  if (size <= LONGEST_ANSWER && PATH.test(text)) {
    return is(
      `the text of a link to ${quote(text.trim())}, not the file itself`,
      'Give the file that it leads to, or check the repository out again with links (git config core.symlinks true).',
    );
  }
  return null;
}

/** Bytes of a pointer, or of a server's answer in a few words. */
const LONGEST_ANSWER = 1024;

/** What servers answer in plain words where they do not give a file. */
const ANSWER =
  /^(error|http\/\d|[45]\d\d\b|bad request|unauthori[sz]ed|forbidden|not found|page not found|file not found|no such|entry not found|repository not found|revision not found|access (to .* )?(is )?(denied|restricted)|permission denied|authentication|authorization|invalid|please (log|sign|accept)|you (need|must|are not|do not|don't)|login required|rate limit|too many requests|api rate limit|quota|service unavailable|internal server error|bad gateway|gateway time-?out|moved permanently|found\.? redirecting|redirecting|temporarily|sorry|expired|request (has )?expired|the (requested|specified|resource|page|file)|cannot (get|find)|signature|missing)/i;

/** The first line of a short text, if it is an answer of a server in plain words; null where it is not. */
function answerOf(text: string, size: number): string | null {
  const line = text.split(/\r?\n/, 1)[0]!.trim();
  return size <= LONGEST_ANSWER && ANSWER.test(line) ? line : null;
}

/** A path and nothing else, as a link that was checked out as a text is. */
const PATH = /^\.{1,2}\/[^\s]+\s*$/;

/** Models of other frameworks, which begin with nothing of their own. */
function foreignModel(source: ByteSource): MalformedFileError | null {
  const name = path.basename(source.file);
  const fields = protobufFields(source);
  // ModelProto of onnx.proto: ir_version is 1, graph 7, opset_import 8.
  if (fields !== null && fields[0] === 1 && fields.includes(7) && fields.every((field) => ONNX_FIELDS.has(field))) {
    return new MalformedFileError(
      'it is an ONNX model',
      'Give the PyTorch weights that it was exported from, or write its initializers under the names of the network as safetensors.',
    );
  }
  // saved_model.proto: the version is 1, each graph 2.
  const isSavedModel = fields !== null && fields[0] === 1 && fields.slice(1).every((field) => field === 2);
  if (isSavedModel && fields.length > 1)
    return new MalformedFileError('it is a TensorFlow SavedModel', FROM_TENSORFLOW);
  // GraphDef of graph.proto: nodes are 1, versions 4, the library of functions 2.
  const isGraph = fields !== null && fields.length > 1 && fields[0] === 1 && fields.every((field) => field <= 5);
  if (isGraph && firstFieldHolds(source, GRAPH_NODE)) {
    return new MalformedFileError('it is a frozen graph of TensorFlow (.pb)', FROM_TENSORFLOW);
  }
  // NetParameter of caffe.proto: the name is 1, layers 100 (or 2, of old).
  if (fields !== null && fields[0] === 1 && fields.includes(100)) {
    return new MalformedFileError(
      'it is a Caffe model',
      'Load it with Caffe, and write the blobs under the names of the network as safetensors.',
    );
  }
  // Model.proto of Core ML: specificationVersion is 1, description 2, the kind of model 200 and more.
  if (fields !== null && fields[0] === 1 && fields.some((field) => field >= 200 && field < 4000)) {
    return new MalformedFileError('it is a Core ML model', 'Give the PyTorch weights that it was converted from.');
  }
  if (isTensorflowTable(source) || /\.data-\d{5}-of-\d{5}$/.test(name)) {
    return new MalformedFileError('it is part of a TensorFlow checkpoint', FROM_TENSORFLOW);
  }
  return null;
}

/** NodeDef begins with its name, field 1, a text. */
const GRAPH_NODE = 0x0a;

/** Whether the first field of a protobuf message holds a message that begins with a byte. */
function firstFieldHolds(source: ByteSource, byte: number): boolean {
  const head = source.read(0, Math.min(source.size, 12));
  const contents = head.findIndex((each, at) => at > 0 && each < 0x80) + 1;
  return head[0] === 0x0a && contents > 1 && head[contents] === byte;
}

const ONNX_FIELDS: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26]);
const MOST_FIELDS = 10_000;

/** Numbers of the fields of a protobuf message that the whole file is, in their order; null where it is none. */
function protobufFields(source: ByteSource): number[] | null {
  const fields: number[] = [];
  let at = 0;
  const varint = (): number | null => {
    let value = 0;
    for (let i = 0; i < 9 && at < source.size; i++) {
      const byte = source.read(at++, 1)[0]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    return null;
  };
  while (at < source.size) {
    const tag = varint();
    const wireType = tag === null ? -1 : tag % 8;
    const value = wireType === 0 || wireType === 2 ? varint() : null;
    if (tag === null || value === null || tag < 8 || fields.length === MOST_FIELDS) return null;
    fields.push(Math.floor(tag / 8));
    if (wireType === 2) at += value;
    if (at > source.size) return null;
  }
  return fields.length === 0 ? null : fields;
}

/** The last bytes of the tables (of LevelDB) that TensorFlow keeps indices and old checkpoints in. */
const TABLE_END = '\x57\xfb\x80\x8b\x24\x75\x47\xdb';

function isTensorflowTable(source: ByteSource): boolean {
  if (source.size < TABLE_END.length) return false;
  return latin1(source.read(source.size - TABLE_END.length, TABLE_END.length)) === TABLE_END;
}

/** A zip archive that is not what `torch.save` writes, as its names tell; null where they do not tell. */
export function foreignArchive(file: string, names: readonly string[]): MalformedFileError | null {
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  const is = (what: string, next: string) => new MalformedFileError(`it is ${what}`, next);
  const own = path.basename(file);
  if (has(/^[^/]+\/code\//) && has(/^[^/]+\/(constants|bytecode|data)\.pkl$/)) {
    return is(
      'a TorchScript module (torch.jit.save), not a state_dict',
      `Where it is a file of your own, save its state_dict in Python: torch.save(torch.jit.load(${quote(own)}).state_dict(), "weights.pth").`,
    );
  }
  if (
    has(/(^|\/)serialized_exported_program\.json$|(^|\/)archive_format$|(^|\/)models\/[^/]+\.json$|\/aotinductor\//)
  ) {
    return is(
      'a program of torch.export (.pt2), not a state_dict',
      `Where it is a file of your own, save its state_dict in Python: torch.save(dict(torch.export.load(${quote(own)}).state_dict), "weights.pth").`,
    );
  }
  if (has(/(^|\/)\.data\/(extern_modules|python_version)$/)) {
    return is('an archive of torch.package, not a state_dict', 'Save the state_dict of the module in it alone.');
  }
  if (has(/(^|\/)model\.weights\.h5$/)) {
    return is(
      'a Keras model (.keras)',
      'Load it with Keras, and write the arrays under the names of the network as safetensors.',
    );
  }
  if (has(/(^|\/)saved_model\.pb$/)) return is('a zip archive with a TensorFlow SavedModel', FROM_TENSORFLOW);
  if (has(/(^|\/)data\.pkl$/)) return null;
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) {
    return is('an archive of NumPy arrays (.npz)', 'Write the arrays under the names of the network as safetensors.');
  }
  const inside = names.find((name) => /\.(pth|pt|ckpt|bin|pkl|safetensors)(\.tar)?$/i.test(name));
  if (inside === undefined) return null;
  return is(`a zip archive with ${quote(inside)} in it`, 'Unpack it first, and give the file that was in it.');
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The text that bytes are the beginning of, without a byte-order mark and leading blanks; null where they are none. */
function textOf(head: Uint8Array): string | null {
  const encoding =
    head[0] === 0xff && head[1] === 0xfe ? 'utf-16le' : head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'utf-8';
  const text = new TextDecoder(encoding).decode(head).trimStart();
  return text.includes('\0') ? null : text;
}
