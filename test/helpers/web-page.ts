import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import type { WebModel } from '../../src/export/web-model.js';
import { createKernels } from '../../src/kernels/create.js';
import { architecture, inferenceConvolutions, isUnit } from '../../src/network/architecture.js';
import { Segmentor } from '../../src/network/segmentor.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { MomentumOptimizer } from '../../src/training/step.js';
import { readCheckpoint } from '../../src/weights/load.js';
import { writeSafetensors } from '../../src/weights/safetensors-write.js';
import type { WritableTensor } from '../../src/weights/tensor.js';
import type { Chromium, Tab } from './chromium.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** Serves the files of a folder on this machine, as any web server does; `change` may replace their bytes. Returns its address. */
export async function serveFolder(
  t: Pick<ExecutionContext, 'teardown'>,
  folder: string,
  change: (name: string, bytes: Buffer) => Buffer = (_, bytes) => bytes,
): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const name = url === '/' ? 'index.html' : path.basename(url);
    readFile(path.join(folder, name)).then(
      (bytes) => {
        response.setHeader('Content-Type', TYPES[path.extname(name)] ?? 'application/octet-stream');
        response.end(change(name, bytes));
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Random weights of a row's network, as a checkpoint in a folder. Returns its file. */
export async function randomWeights(folder: string, { row, model }: Pick<Experiment, 'row' | 'model'>) {
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const segmentor = new Segmentor(engine.tf, kernels, model);
  segmentor.initialise(7, true);
  const optimizer = new MomentumOptimizer(engine.tf, kernels, segmentor.parameters);
  const { weights } = await saveCheckpoint(folder, 0, { segmentor, optimizer, row });
  segmentor.dispose();
  return weights;
}

/** In float32 it gives a variance of 1 when batch norm adds its epsilon, 1e-5. */
const VARIANCE = 1 - 1e-5;

/**
 * Writes the weights of an exported page, float16 as they are, as a file that `fcn predict` takes: each batch norm changes nothing but
 * adds the bias.
 */
export async function asCheckpoint(page: string, model: WebModel, file: string): Promise<void> {
  const tensors: WritableTensor[] = [];
  const add = (name: string, shape: readonly number[], values: Float32Array) =>
    tensors.push({ name, dtype: 'float32', shape, bytes: () => new Uint8Array(values.slice().buffer) });
  const stored = new Map(
    (await Promise.all(model.parts.map(({ file }) => readCheckpoint(path.join(page, file))))).flatMap(({ tensors }) => [
      ...tensors,
    ]),
  );
  for (const spec of inferenceConvolutions(architecture({ ...model.network, pretrained: null }))) {
    const weight = stored.get(`${spec.path}.weight`)!;
    const bias = stored.get(`${spec.path}.bias`)!.toFloat32();
    add(`${spec.path}.weight`, weight.shape, weight.toFloat32());
    if (!isUnit(spec)) {
      add(`${spec.path}.bias`, [bias.length], bias);
      continue;
    }
    const all = (value: number) => new Float32Array(bias.length).fill(value);
    add(`${spec.normPath}.weight`, [bias.length], all(1));
    add(`${spec.normPath}.bias`, [bias.length], bias);
    add(`${spec.normPath}.running_mean`, [bias.length], all(0));
    add(`${spec.normPath}.running_var`, [bias.length], all(VARIANCE));
  }
  await writeSafetensors(file, tensors);
}

const SETTLED = `(document.getElementById('status').textContent.startsWith('Ready') || document.getElementById('error').textContent !== '')`;
const COMPUTED = `(document.getElementById('status').textContent.includes(': done in') || document.getElementById('error').textContent !== '')`;

/** An exported page in a browser, as somebody uses it. */
export class OpenPage {
  private constructor(readonly tab: Tab) {}

  static async open(browser: Chromium, address: string, width?: number): Promise<OpenPage> {
    const page = new OpenPage(await browser.open(address, width));
    await page.tab.until(SETTLED);
    return page;
  }

  text(id: string): Promise<string> {
    return this.tab.value(`document.getElementById('${id}').textContent`);
  }

  /** Chooses what computes. */
  async choose(backend: 'auto' | 'webgpu' | 'wasm'): Promise<void> {
    await this.tab.value(`{
      const select = document.getElementById('backend');
      select.value = '${backend}';
      select.dispatchEvent(new Event('change'));
    }`);
    await this.tab.until(SETTLED);
  }

  /** Chooses an image, and waits for its classes or an error. */
  async openImage(file: string): Promise<void> {
    await this.tab.value(`for (const id of ['status', 'error']) document.getElementById(id).textContent = ''`);
    const { root } = await this.tab.send<{ root: { nodeId: number } }>('DOM.getDocument');
    const query = { nodeId: root.nodeId, selector: '#file' };
    const { nodeId } = await this.tab.send<{ nodeId: number }>('DOM.querySelector', query);
    await this.tab.send('DOM.setFileInputFiles', { nodeId, files: [path.resolve(file)] });
    await this.tab.until(COMPUTED);
  }

  /** The file that the page offers to save, with its name. */
  async download(): Promise<{ readonly name: string; readonly bytes: Buffer }> {
    const { name, base64 } = await this.tab.value<{ name: string; base64: string }>(`new Promise((resolve) => {
      const create = URL.createObjectURL;
      const click = HTMLAnchorElement.prototype.click;
      let saved;
      URL.createObjectURL = (blob) => { saved = blob; return create.call(URL, blob); };
      HTMLAnchorElement.prototype.click = async function () {
        const bytes = new Uint8Array(await saved.arrayBuffer());
        URL.createObjectURL = create;
        HTMLAnchorElement.prototype.click = click;
        resolve({ name: this.download, base64: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) });
      };
      document.getElementById('download').click();
    })`);
    return { name, bytes: Buffer.from(base64, 'base64') };
  }
}
