import { createHash, randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { cp, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MEAN_RGB, STD_RGB } from '../data/transforms/normalise.js';
import { npmPackageFolder } from '../engines/tool.js';
import { WASM_PACKAGE } from '../engines/wasm/start.js';
import { hashExperiment } from '../recipe/resolve.js';
import { UserError } from '../support/errors.js';
import { explainFileError, makeFolder, writeFileAtomic } from '../support/files.js';
import { packageVersion } from '../support/package.js';
import { float16FromFloat32 } from '../weights/dtypes.js';
import { writeSafetensors } from '../weights/safetensors-write.js';
import { byteLength, hwioToOihw, oihwShape, type WritableTensor } from '../weights/tensor.js';
import type { TrainedNetwork } from './trained-network.js';
import { isWebFormat, MODEL_FILE, WEB_FORMAT, type WebModel } from './web-model.js';

/** A part ends where the next tensor would make it larger. Web hosts refuse large files, the strictest from 25 MiB on. */
const PART_BYTES = 16 * 2 ** 20;
const PART_NAME = /^weights-\d\d\.safetensors$/;

/** What the build makes of src/web, the pixel code, and TensorFlow.js's WebAssembly with and without vector instructions. */
function pageFiles(): ReadonlyMap<string, string> {
  const built = fileURLToPath(new URL('../web/', import.meta.url));
  const wasm = path.join(npmPackageFolder(WASM_PACKAGE), 'dist');
  return new Map([
    ...['index.html', 'style.css', 'page.js', 'worker.js'].map((name) => [name, path.join(built, name)] as const),
    ['pixels.wasm', fileURLToPath(new URL('../data/simd/pixels.wasm', import.meta.url))],
    ...['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-simd.wasm'].map((name) => [name, path.join(wasm, name)] as const),
  ]);
}

/** What was written. */
export interface WebFolder {
  readonly model: WebModel;
  /** Names of all files. */
  readonly files: readonly string[];
  /** Of all files. */
  readonly bytes: number;
}

/**
 * Writes a folder with a page that runs a network in a browser. A new folder appears complete or not at all. An existing one stays the
 * same folder: its files are written aside, and put in place one after another, the description last. A page that is loaded meanwhile may find
 * weights that are not those of its description: then it says so.
 * @param replace Whether an earlier page in the folder is replaced.
 * @throws UserError if the folder holds something else, or cannot be written; if a weight is beyond float16. What the signal aborts with.
 */
export async function writeWebFolder(
  folder: string,
  network: TrainedNetwork,
  { replace, signal }: { readonly replace: boolean; readonly signal?: AbortSignal },
): Promise<WebFolder> {
  const target = path.resolve(folder);
  const old = await replaceableFiles(folder, replace);
  const random = `${randomBytes(4).toString('hex')}.tmp`;
  const temporary = old === null ? `${target}.${random}` : path.join(target, `.${random}`);
  try {
    await makeFolder(temporary);
  } catch (error) {
    throw explainFileError(error, folder, 'write');
  }
  try {
    for (const [name, source] of pageFiles()) await cp(source, path.join(temporary, name));
    const parts = await writeWeights(temporary, network, signal);
    const model = webModel(network, parts);
    await writeFileAtomic(path.join(temporary, MODEL_FILE), `${JSON.stringify(model, null, 2)}\n`);
    const written = await contents(temporary);
    signal?.throwIfAborted();
    if (old === null) await rename(temporary, target);
    else await putInPlace(temporary, target, { files: written.files, old });
    return { model, ...written };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw explainFileError(error, folder, 'write');
  }
}

/** Moves files into a folder in the place of others, the description last. */
async function putInPlace(
  from: string,
  folder: string,
  { files, old }: { readonly files: readonly string[]; readonly old: readonly string[] },
): Promise<void> {
  const isDescription = (name: string) => Number(name === MODEL_FILE);
  for (const name of [...files].sort((one, other) => isDescription(one) - isDescription(other)))
    await rename(path.join(from, name), path.join(folder, name));
  for (const name of old.filter((each) => !files.includes(each))) await rm(path.join(folder, name));
  await rmdir(from);
}

/**
 * The files of a page that may be replaced; null if the folder is absent.
 * @throws UserError unless the folder is absent, empty, or holds an earlier export that may be replaced, and nothing else.
 */
export async function replaceableFiles(folder: string, replace: boolean): Promise<readonly string[] | null> {
  if (folder === '') throw new UserError('The name of the folder is empty.', 'Name the folder to write.');
  const entries = await readdir(path.resolve(folder), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw explainFileError(error, folder, 'read');
  });
  if (entries === null) return null;
  if (entries.length === 0) return [];
  const known = new Set([...pageFiles().keys(), MODEL_FILE]);
  const isOfPage = (entry: Dirent) => entry.isFile() && (known.has(entry.name) || PART_NAME.test(entry.name));
  const foreign = entries.find((entry) => !isOfPage(entry));
  const names = entries.map(({ name }) => name);
  if (foreign !== undefined || !(await describesPage(path.resolve(folder, MODEL_FILE)))) {
    throw new UserError(
      `${folder} is not empty: it holds ${foreign?.name ?? names[0]}, which is not of an exported page.`,
      'Choose another folder, or an empty one.',
    );
  }
  if (replace) return names;
  throw new UserError(
    `${folder} holds an exported page already.`,
    'Choose another folder, or give --force to replace it.',
  );
}

/** Whether a file is there, and describes an exported page of any version. Other programs, too, write a model.json with a format. */
async function describesPage(file: string): Promise<boolean> {
  try {
    const model = JSON.parse(await readFile(file, 'utf8')) as Partial<WebModel> | null;
    return isWebFormat(model?.format);
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw explainFileError(error, file, 'read');
  }
}

/** Each convolution's filter in float16 and bias in float32. */
function tensorsOf({ weights }: TrainedNetwork): WritableTensor[] {
  return weights.flatMap(({ path, filter, filterShape, bias }): WritableTensor[] => [
    {
      name: `${path}.weight`,
      dtype: 'float16',
      shape: oihwShape(filterShape),
      bytes: () => {
        const next = 'A web page holds its filters in float16; --to onnx keeps float32.';
        const halves = float16FromFloat32(hwioToOihw(filter, filterShape), `${path}.weight`, next);
        return new Uint8Array(halves.buffer);
      },
    },
    {
      name: `${path}.bias`,
      dtype: 'float32',
      shape: [bias.length],
      bytes: () => new Uint8Array(Float32Array.from(bias).buffer),
    },
  ]);
}

async function writeWeights(
  folder: string,
  network: TrainedNetwork,
  signal: AbortSignal | undefined,
): Promise<WebModel['parts']> {
  const groups: WritableTensor[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const tensor of tensorsOf(network)) {
    bytes += byteLength(tensor);
    if (bytes > PART_BYTES) {
      groups.push([]);
      bytes = byteLength(tensor);
    }
    groups.at(-1)!.push(tensor);
  }
  const parts: WebModel['parts'][number][] = [];
  for (const [i, tensors] of groups.entries()) {
    signal?.throwIfAborted();
    const file = `weights-${String(i).padStart(2, '0')}.safetensors`;
    await writeSafetensors(path.join(folder, file), tensors);
    const written = await readFile(path.join(folder, file));
    parts.push({ file, bytes: written.length, sha256: createHash('sha256').update(written).digest('hex') });
  }
  return parts;
}

function webModel(network: TrainedNetwork, parts: WebModel['parts']): WebModel {
  const { experiment, dataset, weightsSha256, trainedBy } = network;
  const { imageScaleWh, mode, cropHw, strideHw } = experiment.evaluation;
  // Paths of this machine are nobody's business.
  const { pretrained: _pretrained, initialWeights: _initialWeights, reset: _reset, ...sizes } = experiment.model;
  return {
    format: WEB_FORMAT,
    producer: `fcn ${packageVersion()}`,
    row: experiment.row,
    method: experiment.method,
    backbone: experiment.backbone,
    dataset: { id: dataset.id, name: dataset.name },
    classes: dataset.classes,
    palette: dataset.palette,
    mean: MEAN_RGB,
    std: STD_RGB,
    evaluation: { imageScaleWh, mode, cropHw, strideHw },
    network: sizes,
    weights: weightsSha256,
    recipe: hashExperiment(experiment),
    trainedBy,
    parts,
  };
}

async function contents(folder: string): Promise<{ readonly files: readonly string[]; readonly bytes: number }> {
  const files = (await readdir(folder)).sort();
  const sizes = await Promise.all(files.map(async (name) => (await readFile(path.join(folder, name))).length));
  return { files, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}
