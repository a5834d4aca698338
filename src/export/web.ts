import { createHash, randomBytes } from 'node:crypto';
import { cp, readdir, readFile, rename, rm } from 'node:fs/promises';
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
import { MODEL_FILE, WEB_FORMAT, type WebModel } from './web-model.js';

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
 * Writes a folder with a page that runs a network in a browser. The folder appears complete or not at all.
 * @param replace Whether an earlier such folder is replaced.
 * @throws UserError if the folder holds something else, or cannot be written; if a weight is beyond float16.
 */
export async function writeWebFolder(folder: string, network: TrainedNetwork, replace: boolean): Promise<WebFolder> {
  await requireReplaceable(folder, replace);
  const target = path.resolve(folder);
  const beside = (what: string) =>
    path.join(path.dirname(target), `.${path.basename(target)}.${randomBytes(4).toString('hex')}.${what}`);
  const temporary = beside('tmp');
  try {
    await makeFolder(temporary);
    const sources = pageFiles();
    for (const [name, source] of sources) await cp(source, path.join(temporary, name));
    const parts = await writeWeights(temporary, network);
    const model = webModel(network, parts);
    await writeFileAtomic(path.join(temporary, MODEL_FILE), `${JSON.stringify(model, null, 2)}\n`);
    await exchange(temporary, target, beside('old'));
    return { model, ...(await contents(target)) };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw explainFileError(error, folder, 'write');
  }
}

/** Puts a new folder in the place of an old one, if there is one. */
async function exchange(folder: string, target: string, aside: string): Promise<void> {
  const isThere = await rename(target, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(folder, target);
  } catch (error) {
    if (isThere) await rename(aside, target);
    throw error;
  }
  if (isThere) await rm(aside, { recursive: true, force: true });
}

/** @throws UserError unless the folder is absent, empty, or an earlier export that may be replaced. */
export async function requireReplaceable(folder: string, replace: boolean): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw explainFileError(error, folder, 'read');
  });
  if (names.length === 0) return;
  const known = new Set([...pageFiles().keys(), MODEL_FILE]);
  const foreign = names.find((name) => !known.has(name) && !PART_NAME.test(name));
  if (foreign !== undefined) {
    throw new UserError(
      `${folder} is not empty: it holds ${foreign}, which is not of an exported page.`,
      'Choose another folder, or an empty one.',
    );
  }
  if (replace) return;
  throw new UserError(
    `${folder} holds an exported page already.`,
    'Choose another folder, or give --force to replace it.',
  );
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

async function writeWeights(folder: string, network: TrainedNetwork): Promise<WebModel['parts']> {
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
