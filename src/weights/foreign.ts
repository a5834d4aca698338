import path from 'node:path';
import { dangerOf } from './dangerous.js';
import { adviceForOwnFile, MalformedFileError, quote } from './malformed.js';
import { refusedGlobal } from './pickle.js';
import { type ByteSource, headOf, latin1 } from './source.js';

/** Texts that are often given instead of weights: pointers to a file, web pages, answers of servers. */

const DOWNLOAD_AGAIN =
  'Download the file itself, from its "raw" or "download" link, not the page about it. Log in first if the server asks for it.';

/** Bytes of a pointer, or of a short answer of a server. */
const LONGEST_ANSWER = 1024;

/** What servers answer in plain words instead of a file. */
const ANSWER =
  /^(error|http\/\d|[45]\d\d\b|bad request|unauthori[sz]ed|forbidden|not found|page not found|file not found|no such|entry not found|repository not found|revision not found|access (to .* )?(is )?(denied|restricted)|permission denied|authentication|authorization|invalid|please (log|sign|accept)|you (need|must|are not|do not|don't)|login required|rate limit|too many requests|api rate limit|quota|service unavailable|internal server error|bad gateway|gateway time-?out|moved permanently|found\.? redirecting|redirecting|temporarily|sorry|expired|request (has )?expired|the (requested|specified|resource|page|file)|cannot (get|find)|signature|missing)/i;

/** Only a path: a link that was checked out as a text. */
const PATH = /^\.{1,2}\/[^\s]+\s*$/;

/** What a text is that is something else than weights; null if it is not a text, or not a known one. */
export function foreignText(source: ByteSource): MalformedFileError | null {
  const text = textOf(headOf(source));
  if (text === null) return null;
  return pointer(text, source.size) ?? markup(text) ?? json(text) ?? shortText(text, source.size);
}

/** The text of a file's first bytes, without a byte-order mark and leading white space; null if they are not text. */
function textOf(head: Uint8Array): string | null {
  const encoding =
    head[0] === 0xff && head[1] === 0xfe ? 'utf-16le' : head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'utf-8';
  const text = new TextDecoder(encoding).decode(head).trimStart();
  return text.includes('\0') ? null : text;
}

function pointer(text: string, size: number): MalformedFileError | null {
  if (/^version https?:\/\/\S+\/spec\/v\d/.test(text)) {
    const bytes = /^size (\d+)/m.exec(text)?.[1];
    return new MalformedFileError(
      `it is a Git LFS pointer (${size} bytes), not the file itself${bytes === undefined ? '' : ` (${bytes} bytes)`}`,
      'Run git lfs pull in its repository, or download the file itself from the page of the repository.',
    );
  }
  if (size <= LONGEST_ANSWER && /^(\S*\/)?\.git\/(modules\/\S+\/)?annex\/objects\/|^\/annex\/objects\//.test(text)) {
    const next = 'Run git annex get on it in its repository.';
    return new MalformedFileError('it is a git-annex pointer, not the file itself', next);
  }
  if (!/^outs:\s*\n\s*- /.test(text)) return null;
  return new MalformedFileError('it is a DVC pointer, not the file itself', 'Run dvc pull on it in its repository.');
}

function markup(text: string): MalformedFileError | null {
  if (/^(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)*<(!doctype\s+html|html|head|body|title|script|meta)\b/i.test(text)) {
    const title = /<title[^>]*>\s*([^<]*?)\s*<\/title>/i.exec(text)?.[1];
    const titled = title ? ` with the title ${quote(title)}` : '';
    return new MalformedFileError(`it is a web page (HTML)${titled}, not a file of weights`, DOWNLOAD_AGAIN);
  }
  if (!/^<(\?xml\b|[A-Za-z][\w:-]*[\s>/])/.test(text)) return null;
  const parts = ['Code', 'Message'].flatMap((tag) => {
    const content = new RegExp(`<${tag}>\\s*([^<]*?)\\s*</${tag}>`, 'i').exec(text)?.[1];
    return content ? [quote(content)] : [];
  });
  return serverAnswer('an XML text', parts);
}

function json(text: string): MalformedFileError | null {
  if (!/^\{\s*("|\})|^\[\s*[\]{["\d-]/.test(text)) return null;
  if (!/"weight_map"\s*:/.test(text)) return serverAnswer('a JSON text');
  return new MalformedFileError(
    'it is the index of weights in several files',
    'Load them with the library that wrote them, and save all tensors in one file.',
  );
}

function shortText(text: string, size: number): MalformedFileError | null {
  if (size > LONGEST_ANSWER) return null;
  const line = text.split(/\r?\n/, 1)[0]!.trim();
  if (ANSWER.test(line)) return serverAnswer('a text', [quote(line)]);
  if (!PATH.test(text)) return null;
  return new MalformedFileError(
    `it is the text of a link to ${quote(text.trim())}, not the file itself`,
    'Give the file that it leads to, or check the repository out again with links (git config core.symlinks true).',
  );
}

function serverAnswer(what: string, parts: readonly string[] = []): MalformedFileError {
  const answer = parts.length === 0 ? '' : `: ${parts.join(', ')}`;
  return new MalformedFileError(`it is ${what} that a server sent instead of the file${answer}`, DOWNLOAD_AGAIN);
}

/** Binary files that are often given instead of weights, recognized by their content. */

const asSafetensors = (library: string, what = 'arrays') =>
  `Load it with ${library}, and write the ${what} under the names of the network as safetensors.`;
const unpack = (how = '') => `Unpack it first${how}, and give the file that was in it.`;
const GIVE_WEIGHTS = 'Give a file of weights, .pth or safetensors.';
const WRITE_ARRAYS = 'Write the arrays under the names of the network as safetensors.';
const FROM_TENSORFLOW = asSafetensors('TensorFlow');
const FROM_PICKLE = adviceForOwnFile(
  'save the state_dict in Python with torch.save(MODEL.state_dict(), "weights.pth") instead of pickle.dump',
);

const HDF5 = '\x89HDF\r\n\x1a\n';

/** Kinds of files by the bytes that they have at their beginning, or at an offset. */
const SIGNATURES: readonly (readonly [bytes: string, what: string, next: string, offset?: number])[] = [
  [HDF5, 'an HDF5 file, as Keras writes its weights', asSafetensors('Keras')],
  ['\x1f\x8b', 'a gzip archive', unpack(', with gunzip or tar -xzf')],
  ['BZh', 'a bzip2 archive', unpack(', with bunzip2 or tar -xjf')],
  ['\xfd7zXZ\0', 'an xz archive', unpack(', with unxz or tar -xJf')],
  ['\x28\xb5\x2f\xfd', 'a Zstandard archive', unpack(', with unzstd')],
  ['7z\xbc\xaf\x27\x1c', 'a 7-Zip archive', unpack()],
  ['Rar!', 'a RAR archive', unpack()],
  [
    'ustar',
    'a tar archive',
    `${unpack(', with tar -xf')} (If PyTorch before 0.1.12 wrote it, load and save it again with a newer PyTorch.)`,
    257,
  ],
  ['\x93NUMPY', 'a NumPy array (.npy)', WRITE_ARRAYS],
  ['GGUF', 'a GGUF file, of a language model', 'Give the weights of the network, as .pth or safetensors.'],
  ['TFL3', 'a TensorFlow Lite model', 'Give the weights of the network, as .pth or safetensors.', 4],
  ['MATLAB 5.0 MAT-file', 'a MAT-file, of MATLAB', asSafetensors('scipy.io.loadmat')],
  ['\x7fELF', 'a program or a library (ELF)', GIVE_WEIGHTS],
  ['ftrt', 'a TensorRT engine', 'Give the PyTorch weights that it was built from.'],
  ['PK\x05\x06', 'an empty zip archive', 'Write or download the file again.'],
  ['\x89PNG', 'a PNG image', GIVE_WEIGHTS],
  ['\xff\xd8\xff', 'a JPEG image', GIVE_WEIGHTS],
  ['%PDF', 'a PDF document', GIVE_WEIGHTS],
];

const refusal = (what: string, next: string) => new MalformedFileError(`it is ${what}`, next);

/** What a file is that is something else than weights; null if its bytes do not show it. */
export function foreignFile(source: ByteSource): MalformedFileError | null {
  const head = latin1(headOf(source));
  for (const [bytes, what, next, offset = 0] of SIGNATURES) {
    if (head.startsWith(bytes, offset)) return refusal(what, next);
  }
  if (hasUserBlock(source)) {
    return refusal('an HDF5 file with a user block before it', asSafetensors('the library that wrote it'));
  }
  if (isTextPickle(head)) return refusedName(head) ?? refusal('a pickle of protocol 0', FROM_PICKLE);
  if (/^\0*$/.test(head)) {
    return new MalformedFileError(
      'it begins with nothing but zeros, as after an interrupted download',
      'Download the file again.',
    );
  }
  return foreignModel(source);
}

/** HDF5 may begin at byte 512, or at any power of two after that. */
function hasUserBlock(source: ByteSource): boolean {
  for (let start = 512; start + HDF5.length <= Math.min(source.size, 2 ** 24); start *= 2) {
    if (latin1(source.read(start, HDF5.length)) === HDF5) return true;
  }
  return false;
}

/** A pickle of protocol 0 or 1 has no signature: it begins with a container or a class, and an entry of the memo. */
function isTextPickle(head: string): boolean {
  return /^(\((dp?|lp?)\d*\n|[\]}]q.|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|ccopy_reg\n)/s.test(head);
}

/** The refusal of a dangerous name at the beginning of a pickle of protocol 0; null if there is none. */
function refusedName(head: string): MalformedFileError | null {
  for (const [, module, name] of head.matchAll(/[ci]([A-Za-z_][\w.]*)\n([A-Za-z_][\w.]*)\n/g)) {
    const danger = dangerOf(module!, name!);
    if (danger !== null) return refusedGlobal(`${module}.${name}`, danger);
  }
  return null;
}

/** The refusal of tensors that pickle.dump wrote: each is a file of torch.save inside the pickle. */
export function plainPickle(): MalformedFileError {
  return refusal(
    'a pickle of tensors that pickle.dump wrote, and reading it would run other pickles in it; nothing in it was run',
    FROM_PICKLE,
  );
}

/** Models of other frameworks, whose files have no signature. */
function foreignModel(source: ByteSource): MalformedFileError | null {
  const fields = protobufFields(source);
  if (fields?.[0] === 1) {
    // ModelProto of onnx.proto: ir_version is 1, graph 7, opset_import 8.
    if (fields.includes(7) && fields.every((field) => ONNX_FIELDS.has(field))) {
      return refusal(
        'an ONNX model',
        'Give the PyTorch weights that it was exported from, or write its initializers under the names of the network as safetensors.',
      );
    }
    // saved_model.proto: the version is 1, each graph 2.
    if (fields.length > 1 && fields.slice(1).every((field) => field === 2)) {
      return refusal('a TensorFlow SavedModel', FROM_TENSORFLOW);
    }
    // GraphDef of graph.proto: nodes are 1, versions 4, the library of functions 2.
    if (fields.length > 1 && fields.every((field) => field <= 5) && firstFieldHolds(source, GRAPH_NODE)) {
      return refusal('a frozen graph of TensorFlow (.pb)', FROM_TENSORFLOW);
    }
    // NetParameter of caffe.proto: the name is 1, layers 100 (in old versions 2).
    if (fields.includes(100)) return refusal('a Caffe model', asSafetensors('Caffe', 'blobs'));
    // Model.proto of Core ML: specificationVersion is 1, description 2, the kind of model 200 and more.
    if (fields.some((field) => field >= 200 && field < 4000)) {
      return refusal('a Core ML model', 'Give the PyTorch weights that it was converted from.');
    }
  }
  if (isTensorflowTable(source) || /\.data-\d{5}-of-\d{5}$/.test(path.basename(source.file))) {
    return refusal('part of a TensorFlow checkpoint', FROM_TENSORFLOW);
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

/** Field numbers of a file that is one protobuf message, in their order; null if it is not. */
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

/** The last bytes of the LevelDB tables in which TensorFlow keeps indices and old checkpoints. */
const TABLE_END = '\x57\xfb\x80\x8b\x24\x75\x47\xdb';

function isTensorflowTable(source: ByteSource): boolean {
  if (source.size < TABLE_END.length) return false;
  return latin1(source.read(source.size - TABLE_END.length, TABLE_END.length)) === TABLE_END;
}

/** What a zip archive is that `torch.save` did not write; null if the names of its entries do not show it. */
export function foreignArchive(file: string, names: readonly string[]): MalformedFileError | null {
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  const own = quote(path.basename(file));
  const save = (stateDict: string) =>
    adviceForOwnFile(`save its state_dict in Python: torch.save(${stateDict}, "weights.pth")`);
  if (has(/^[^/]+\/code\//) && has(/^[^/]+\/(constants|bytecode|data)\.pkl$/)) {
    return refusal(
      'a TorchScript module (torch.jit.save), not a state_dict',
      save(`torch.jit.load(${own}).state_dict()`),
    );
  }
  if (
    has(/(^|\/)serialized_exported_program\.json$|(^|\/)archive_format$|(^|\/)models\/[^/]+\.json$|\/aotinductor\//)
  ) {
    return refusal(
      'a program of torch.export (.pt2), not a state_dict',
      save(`dict(torch.export.load(${own}).state_dict)`),
    );
  }
  if (has(/(^|\/)\.data\/(extern_modules|python_version)$/)) {
    return refusal('an archive of torch.package, not a state_dict', 'Save the state_dict of the module in it alone.');
  }
  if (has(/(^|\/)model\.weights\.h5$/)) return refusal('a Keras model (.keras)', asSafetensors('Keras'));
  if (has(/(^|\/)saved_model\.pb$/)) return refusal('a zip archive with a TensorFlow SavedModel', FROM_TENSORFLOW);
  if (has(/(^|\/)data\.pkl$/)) return null;
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) {
    return refusal('an archive of NumPy arrays (.npz)', WRITE_ARRAYS);
  }
  const inside = names.find((name) => /\.(pth|pt|ckpt|bin|pkl|safetensors)(\.tar)?$/i.test(name));
  return inside === undefined ? null : refusal(`a zip archive with ${quote(inside)} in it`, unpack());
}
