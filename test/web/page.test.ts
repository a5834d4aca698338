import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import sharp from 'sharp';
import { decodeLabelBytes, decodeRgb } from '../../src/data/decode.js';
import { openWorkspace } from '../../src/data/simd/open-workspace.js';
import { makeViews } from '../../src/data/views.js';
import { startEngine } from '../../src/engines/selection.js';
import { Predictor } from '../../src/evaluation/inference.js';
import type { WebModel } from '../../src/export/web-model.js';
import { createKernels } from '../../src/kernels/create.js';
import { loadInferenceNetwork } from '../../src/network/load.js';
import { resolve } from '../../src/recipe/resolve.js';
import { Chromium, findChromium, SOFTWARE_WEBGPU } from '../helpers/chromium.js';
import { fcn } from '../helpers/command.js';
import { integers } from '../helpers/numeric.js';
import { asCheckpoint, OpenPage, randomWeights, serveFolder } from '../helpers/web-page.js';

const program = findChromium();
const browser = program === null ? null : await Chromium.start(program, SOFTWARE_WEBGPU);
const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-test-'));
const teardowns: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })];
const own = { teardown: (done: () => void) => void teardowns.push(done) };

/** A browser offers WebGPU only to pages from this machine or https. */
async function hasAdapter(chromium: Chromium): Promise<boolean> {
  await writeFile(path.join(folder, 'index.html'), '<!doctype html>');
  const tab = await chromium.open(await serveFolder(own, folder));
  return tab.value(`navigator.gpu?.requestAdapter().then((adapter) => adapter !== null) ?? false`);
}

const adapter = browser !== null && (await hasAdapter(browser));

test.after.always(async () => {
  await browser?.close();
  for (const teardown of teardowns) teardown();
});

function declared(isPossible: boolean) {
  const declare = isPossible ? test.serial : test.serial.skip;
  return (title: string, body: (t: ExecutionContext, chromium: Chromium) => Promise<void>): void =>
    declare(title, (t) => body(t, browser!));
}
const inBrowser = declared(browser !== null);
const onWebgpu = declared(adapter);

/** Networks with whole and with slide inference, the second with bottlenecks and aligned corners. */
const WHOLE = {
  row: 'fcn_r18-d8_512x1024_80k_cityscapes',
  overrides: ['width=4', 'evaluation.imageScaleWh=[72,48]'],
};
const SLIDE = {
  row: 'fcn_r50-d8_769x769_40k_cityscapes',
  overrides: ['width=4', 'evaluation.imageScaleWh=[65,49]', 'evaluation.cropHw=[33,33]', 'evaluation.strideHw=[17,17]'],
};
type Case = typeof WHOLE;

const IMAGE = path.join(folder, 'picture.one.png');

test.before(async () => {
  // Squares of random colours, so that several classes occur.
  const data = integers(5, 8 * 6 * 3, 0, 256);
  const picture = sharp(Uint8Array.from(data), { raw: { width: 8, height: 6, channels: 3 } });
  await writeFile(IMAGE, await picture.resize(50, 38, { kernel: 'cubic' }).png().toBuffer());
});

interface Exported {
  readonly page: string;
  readonly model: WebModel;
  /** The weights of the page, for other commands. */
  readonly weights: string;
}

const exported = new Map<Case, Promise<Exported>>();

/** The page of a case's network with random weights; made once. */
function exportOf(network: Case): Promise<Exported> {
  const known = exported.get(network);
  if (known !== undefined) return known;
  const made = exportPage(network, exported.size);
  exported.set(network, made);
  return made;
}

async function exportPage({ row, overrides }: Case, number: number): Promise<Exported> {
  const cwd = folder;
  const { model } = resolve({ row, overrides: [...overrides] });
  const random = await randomWeights(path.join(folder, `random-${number}`), { row, model });
  const changes = overrides.flatMap((override) => ['--set', override]);
  const page = path.join(folder, `page-${number}`);
  const { code, stderr, stdout } = await fcn(
    ['export', row, page, '--to', 'web', '--weights', random, ...changes, '--json'],
    { cwd },
  );
  if (code !== 0) throw new Error(stderr);
  const written = JSON.parse(stdout) as { readonly model: WebModel };
  const weights = path.join(folder, `rounded-${number}.safetensors`);
  await asCheckpoint(page, written.model, weights);
  return { page, model: written.model, weights };
}

/** The classes that `fcn predict` gives with the weights of a page. */
async function predicted({ row, overrides }: Case, { weights }: Exported): Promise<Uint8Array> {
  const changes = overrides.flatMap((override) => ['--set', override]);
  const command = [
    'predict',
    IMAGE,
    '--row',
    row,
    '--weights',
    weights,
    '--engine',
    'wasm',
    '--out',
    'out',
    ...changes,
  ];
  const { code, stderr } = await fcn(command, { cwd: folder });
  if (code !== 0) throw new Error(stderr);
  return labelsIn(await readFile(path.join(folder, 'out', 'picture.one.png')));
}

function labelsIn(bytes: Buffer): Uint8Array {
  const read = decodeLabelBytes('labels.png', bytes);
  if (read.kind !== 'values') throw new Error('No label map.');
  return read.labels.data;
}

/** Two probabilities of softmax are a tie if float32 noise of the logits can change their order. */
const NOISE = 1e-4;

/** The pixels in which a label map differs from another one, and those of them whose two most probable classes are no tie. */
async function differences(
  { row, overrides }: Case,
  { weights }: Exported,
  found: Uint8Array,
  expected: Uint8Array,
): Promise<{ readonly different: number; readonly clear: number }> {
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const { model, evaluation } = resolve({ row, overrides: [...overrides] });
  const network = await loadInferenceNetwork(engine, kernels, model, weights);
  const image = await decodeRgb(IMAGE);
  const views = makeViews(image, evaluation.imageScaleWh, [1], openWorkspace());
  const predictor = new Predictor({ engine, kernels, network, recipe: evaluation });
  const all = await predictor.probabilities({ size: [image.height, image.width], views, flip: false });
  network.dispose();
  const pixels = [...found.keys()].filter((pixel) => found[pixel] !== expected[pixel]);
  const margin = (pixel: number) => {
    const [first, second] = all
      .slice(pixel * model.classes, (pixel + 1) * model.classes)
      .sort()
      .reverse();
    return first! - second!;
  };
  return { different: pixels.length, clear: pixels.filter((pixel) => margin(pixel) > NOISE).length };
}

/** Asserts that a page gives the classes that `fcn predict` gives, with one of the ways to compute. */
async function assertSameClasses(
  t: ExecutionContext,
  chromium: Chromium,
  network: Case,
  backend: 'webgpu' | 'wasm',
): Promise<void> {
  const made = await exportOf(network);
  const page = await OpenPage.open(chromium, await serveFolder(t, made.page));
  await page.choose(backend);
  t.is(await page.text('error'), '');
  t.regex(await page.text('backend-note'), backend === 'wasm' ? /WebAssembly/ : /WebGPU/);
  await page.openImage(IMAGE);
  t.is(await page.text('error'), '');
  const { name, bytes } = await page.download();
  t.is(name, 'picture.one.png');
  const found = labelsIn(bytes);
  const expected = await predicted(network, made);
  t.is(found.length, expected.length);
  t.true(new Set(expected).size > 2);
  const { different, clear } = await differences(network, made, found, expected);
  t.is(clear, 0, `${different} of ${found.length} pixels differ`);
  t.true(different <= found.length / 100, `${different} of ${found.length} pixels differ`);
  t.deepEqual(page.tab.problems, []);
}

inBrowser('wasm: a page gives the classes that fcn predict gives', async (t, chromium) => {
  await assertSameClasses(t, chromium, WHOLE, 'wasm');
});

inBrowser('wasm: also in windows, with bottlenecks and aligned corners', async (t, chromium) => {
  await assertSameClasses(t, chromium, SLIDE, 'wasm');
});

onWebgpu('webgpu: a page gives the classes that fcn predict gives', async (t, chromium) => {
  await assertSameClasses(t, chromium, WHOLE, 'webgpu');
});

inBrowser('a page is used with the keyboard, at 400 px, and loads nothing from elsewhere', async (t, chromium) => {
  const { page: made, model } = await exportOf(WHOLE);
  const address = await serveFolder(t, made);
  const page = await OpenPage.open(chromium, address, 400);
  const { tab } = page;
  await page.openImage(IMAGE);
  t.true((await tab.value<number>('document.documentElement.scrollWidth')) <= 400);

  const focused: string[] = [];
  for (let i = 0; i < 7; i++) {
    await tab.press('Tab');
    focused.push(await tab.value(`document.activeElement.id || document.activeElement.tagName`));
  }
  t.deepEqual(focused, ['file', 'camera', 'backend', 'picture', 'opacity', 'download', 'SUMMARY']);
  // Everything that takes the focus has a name.
  const names = `[...document.querySelectorAll('input, button, select, [role=application]')]
    .map((one) => one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent.trim())`;
  t.true((await tab.value<string[]>(names)).every((name) => name !== ''));

  await tab.value(`document.getElementById('picture').focus()`);
  await tab.press('ArrowLeft');
  t.regex(await page.text('point'), /^.+ at column 24, row 19$/);
  for (let i = 0; i < 3; i++) await tab.press('ArrowUp', 8);
  const told = await page.text('point');
  t.regex(told, /at column 24, row 0$/);
  const { bytes } = await page.download();
  t.is(told, `${model.classes[labelsIn(bytes)[24]!]} at column 24, row 0`);
  await tab.value(`document.getElementById('opacity').focus()`);
  await tab.press('ArrowLeft');
  t.is(await page.text('opacity-value'), '55 %');
  t.is(await tab.value(`getComputedStyle(document.getElementById('overlay')).opacity`), '0.55');

  const loaded = await tab.value<string[]>(`performance.getEntriesByType('resource').map(({ name }) => name)`);
  t.deepEqual(
    loaded.filter((name) => !name.startsWith(address) && !name.startsWith('data:')),
    [],
  );
  t.deepEqual(tab.problems, []);
});

inBrowser('the camera gives single pictures, and live ones until it is stopped', async (t, chromium) => {
  const { page: made } = await exportOf(WHOLE);
  const { tab, ...page } = await OpenPage.open(chromium, await serveFolder(t, made));
  t.is(Object.keys(page).length, 0);
  const click = (id: string) => tab.value(`document.getElementById('${id}').click()`);
  await click('camera');
  await tab.until(`!document.getElementById('viewfinder').hidden`);
  await click('still');
  await tab.until(`document.getElementById('status').textContent.startsWith('camera: done')`);
  await click('live');
  t.is(await tab.value(`document.getElementById('live').getAttribute('aria-pressed')`), 'true');
  // Two more pictures.
  for (let i = 0; i < 2; i++) {
    await tab.value(`document.getElementById('facts').textContent = ''`);
    await tab.until(`document.getElementById('facts').textContent !== ''`);
  }
  t.is(
    await tab.value(`document.getElementById('status').textContent`),
    'Live: pictures of the camera, one after the other.',
  );
  await click('camera');
  t.true(await tab.value(`document.getElementById('viewfinder').hidden`));
  t.is(await tab.value(`document.getElementById('video').srcObject`), null);
  t.deepEqual(tab.problems, []);
});

inBrowser('what goes wrong is told, and foreign texts are texts', async (t, chromium) => {
  const { page: made, model } = await exportOf(WHOLE);
  const text = path.join(folder, 'text.png');
  await writeFile(text, 'no image');
  const evil = '<img src=x onerror="document.title=1"> & "road"';
  const address = await serveFolder(t, made, (name, bytes) => {
    if (name !== 'model.json') return bytes;
    return Buffer.from(JSON.stringify({ ...model, classes: model.classes.map(() => evil), row: evil }));
  });
  const page = await OpenPage.open(chromium, address);
  await page.openImage(text);
  t.is(await page.text('error'), 'text.png cannot be decoded: it is damaged, or no image that this browser reads.');
  await page.openImage(IMAGE);
  t.is(await page.text('error'), '');
  t.true((await page.text('legend')).includes(evil));
  t.is(await page.tab.value(`document.querySelectorAll('img').length`), 0);

  const [{ file }] = model.parts as [WebModel['parts'][number]];
  const damaged = await serveFolder(t, made, (name, bytes) => {
    if (name === file) bytes[bytes.length - 1]! ^= 1;
    return bytes;
  });
  const broken = await OpenPage.open(chromium, damaged);
  t.is(await broken.text('error'), `${file} is damaged: its SHA-256 is not the one that model.json names.`);
});
