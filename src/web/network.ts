import type { WebModel } from '../export/web-model.js';
import { type Architecture, architecture, inferenceConvolutions } from '../network/architecture.js';
import { FoldedNetwork, type SharedWeights } from '../network/inference.js';
import { convolutionBounds } from '../network/overflow.js';
import { readSafetensors } from '../weights/safetensors.js';
import { hwioShape, oihwToHwio, type StoredTensor } from '../weights/tensor.js';
import type { StartedEngine } from './engine.js';

type OnProgress = (bytes: number, total: number) => void;

/**
 * Fetches the weights of a network and makes it ready.
 * @param folder Address of the folder of the page.
 * @throws Error if a part cannot be fetched or is not as the description says.
 */
export async function loadNetwork(
  folder: string,
  model: WebModel,
  { engine, kernels }: StartedEngine,
  onProgress: OnProgress,
): Promise<FoldedNetwork> {
  const tensors = new Map<string, StoredTensor>();
  const total = model.parts.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  onProgress(done, total);
  for (const part of model.parts) {
    const values = await fetchPart(new URL(part.file, folder), part);
    for (const [name, tensor] of readSafetensors(sourceOf(part.file, values)).tensors) tensors.set(name, tensor);
    done += part.bytes;
    onProgress(done, total);
  }
  const network = architecture({ ...model.network, pretrained: null });
  return new FoldedNetwork(engine.tf, kernels, network, foldedWeights(network, tensors));
}

async function fetchPart(address: URL, { file, bytes, sha256 }: WebModel['parts'][number]): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${file} cannot be fetched: the server answers ${response.status}.`);
  const values = new Uint8Array(await response.arrayBuffer());
  if (values.length !== bytes) throw new Error(`${file} has ${values.length} bytes instead of ${bytes}.`);
  // Browsers have no hashes for pages from http and other machines.
  if (isSecureContext) {
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', values));
    const found = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (found !== sha256) throw new Error(`${file} is damaged: its SHA-256 is not the one that model.json names.`);
  }
  return values;
}

function sourceOf(file: string, values: Uint8Array) {
  return {
    file,
    size: values.length,
    read: (offset: number, length: number) => values.subarray(offset, offset + length),
  };
}

function foldedWeights(network: Architecture, tensors: ReadonlyMap<string, StoredTensor>): SharedWeights {
  const tensor = (name: string): StoredTensor => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`The weights lack ${name}.`);
    return found;
  };
  return inferenceConvolutions(network).map(({ path, geometry, inputChannels, outputChannels, kernel }) => {
    const oihw = [outputChannels, inputChannels, kernel, kernel] as const;
    const weight = tensor(`${path}.weight`);
    if (weight.shape.join() !== oihw.join()) throw new Error(`${path}.weight has the shape [${weight.shape}].`);
    const filter = oihwToHwio(weight.toFloat32(), oihw, new Float32Array(weight.elements));
    const bias = Float32Array.from(tensor(`${path}.bias`).toFloat32());
    return { path, geometry, filterShape: hwioShape(oihw), filter, bias, ...convolutionBounds(filter, bias) };
  });
}
