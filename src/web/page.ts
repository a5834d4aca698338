import { MODEL_FILE, WEB_FORMAT, type WebModel } from '../export/web-model.js';
import { formatFileSize, formatSeconds } from '../support/format.js';
import { BrowserCamera } from './camera.js';
import { Client } from './client.js';
import { labelPng, save } from './download.js';
import { element, textElement } from './elements.js';
import { showLegend } from './legend.js';
import type { BackendChoice } from './messages.js';
import { Picture, type Segmented } from './picture.js';

/** More pixels would take a browser more than a gigabyte. */
const MOST_PIXELS = 2 ** 26;

const status = element('status', HTMLElement);
const errorLine = element('error', HTMLElement);
const backendNote = element('backend-note', HTMLElement);
const fileInput = element('file', HTMLInputElement);
const backendInput = element('backend', HTMLSelectElement);

function showError(message: string): void {
  status.textContent = '';
  errorLine.textContent = message;
}

function showStatus(message: string): void {
  errorLine.textContent = '';
  if (status.textContent !== message) status.textContent = message;
}

/** The page of a network. */
class Page {
  private readonly picture: Picture;
  private readonly camera: BrowserCamera;
  private client: Client;
  private backend = '';
  private shown: { readonly name: string; readonly segmented: Segmented } | null = null;
  /** The newest image that was opened; null if the camera has given a picture since. */
  private file: File | null = null;
  /** Whether a computation has failed: memory that was full, or a lost GPU, makes a worker useless. */
  private isBroken = false;

  constructor(private readonly model: WebModel) {
    this.picture = new Picture(model.classes, model.palette);
    this.camera = new BrowserCamera({
      onFrame: (bitmap, isLive) => {
        this.file = null;
        return this.segment(bitmap, 'camera', isLive);
      },
      onError: showError,
      onStill: () => showStatus('The last picture of the camera.'),
    });
    this.client = this.start();
    this.describe();
    this.listen();
  }

  /** Starts a worker. @param thenOpen Whether it gets the image that is shown. */
  private start(thenOpen = false): Client {
    this.isBroken = false;
    showStatus('Loading the network …');
    backendNote.textContent = '';
    fileInput.disabled = true;
    element('camera', HTMLButtonElement).disabled = true;
    return new Client(this.model, backendInput.value as BackendChoice, {
      onLoading: (bytes, total) =>
        showStatus(`Loading the network: ${formatFileSize(bytes)} of ${formatFileSize(total)} …`),
      onReady: (backend, reason) => {
        this.backend = backend;
        backendNote.textContent = `Computes with ${backend}${reason === null ? '' : `: ${reason}`}.`;
        fileInput.disabled = false;
        element('camera', HTMLButtonElement).disabled = false;
        showStatus('Ready.');
        if (thenOpen && this.file !== null) this.open(this.file);
      },
      onFailure: showError,
    });
  }

  private describe(): void {
    const { row, method, backbone, dataset, evaluation, trainedBy, weights, recipe, producer } = this.model;
    element('subtitle', HTMLElement).textContent = `${method}, ${backbone}, trained on ${dataset.name}`;
    document.title = `Semantic segmentation: ${row}`;
    const [width, height] = evaluation.imageScaleWh;
    const facts: [string, string][] = [
      ['Row', row],
      ['Classes', String(this.model.classes.length)],
      ['Images are fitted into', `${width}×${height} pixels`],
      ['Run', trainedBy === null ? 'not known' : `${trainedBy.row}, ${trainedBy.run}`],
      ['Weights (SHA-256)', weights],
      ['Recipe', recipe],
      ['Made by', producer],
    ];
    element('about', HTMLElement).replaceChildren(
      ...facts.flatMap(([term, value]) => [textElement('dt', term), textElement('dd', value)]),
    );
  }

  private listen(): void {
    // The same file may be chosen again.
    fileInput.addEventListener('click', () => {
      fileInput.value = '';
    });
    fileInput.addEventListener('change', () => this.openFirst(fileInput.files));
    backendInput.addEventListener('change', () => {
      this.camera.close();
      this.client.close();
      this.client = this.start(true);
    });
    const drop = element('drop', HTMLElement);
    addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
    addEventListener('dragleave', () => drop.classList.remove('over'));
    addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      this.openFirst(event.dataTransfer?.files);
    });
    addEventListener('paste', (event) => this.openFirst(event.clipboardData?.files));
    element('download', HTMLButtonElement).addEventListener('click', () => this.download());
  }

  /** Opens the first of some files, if there is one. */
  private openFirst(files: FileList | null | undefined): void {
    const [file] = files ?? [];
    if (file === undefined) return;
    this.camera.close();
    this.open(file);
  }

  private async open(file: File): Promise<void> {
    this.file = file;
    try {
      await this.segment(await decode(file), file.name);
    } catch (error) {
      showError((error as Error).message);
    }
  }

  /** Computes and shows the classes of an image. */
  private async segment(bitmap: ImageBitmap, name: string, isLive = false): Promise<void> {
    if (this.isBroken) {
      this.client.close();
      this.client = this.start();
    }
    // Not told for each picture: people who listen would hear nothing else.
    showStatus(isLive ? 'Live: pictures of the camera, one after the other.' : 'Segmenting the image …');
    const { width, height } = bitmap;
    const own = await createImageBitmap(bitmap);
    try {
      const result = await this.client.predict(bitmap);
      if (result === null) return;
      const segmented = { width, height, labels: result.labels };
      this.show(own, segmented);
      this.shown = { name, segmented };
      const seconds = formatSeconds(result.seconds);
      element('facts', HTMLElement).textContent = `${width}×${height} pixels in ${seconds} with ${this.backend}`;
      if (!isLive) showStatus(`${name}: done in ${seconds}.`);
    } catch (error) {
      this.isBroken = true;
      this.camera.close();
      showError((error as Error).message);
    } finally {
      own.close();
    }
  }

  private show(bitmap: ImageBitmap, segmented: Segmented): void {
    element('result', HTMLElement).hidden = false;
    this.picture.show(bitmap, segmented);
    showLegend(segmented.labels, this.model.classes, this.model.palette);
  }

  private async download(): Promise<void> {
    if (this.shown === null) return;
    const { name, segmented } = this.shown;
    try {
      save(await labelPng(segmented, this.model.palette), `${name.replace(/\.\w+$/, '')}.png`);
    } catch (error) {
      showError((error as Error).message);
    }
  }
}

/** The pixels of a file, turned as its EXIF says, without its colour profile. @throws Error that names the file. */
async function decode(file: File): Promise<ImageBitmap> {
  const options = { colorSpaceConversion: 'none', premultiplyAlpha: 'none', imageOrientation: 'from-image' } as const;
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error(`${file.name} cannot be decoded: it is damaged, or no image that this browser reads.`);
  });
  if (bitmap.width * bitmap.height <= MOST_PIXELS) return bitmap;
  const size = `${bitmap.width}×${bitmap.height}`;
  bitmap.close();
  throw new Error(`${file.name} has ${size} pixels, which is more than this page takes: at most 67 million.`);
}

async function readModel(): Promise<WebModel> {
  const response = await fetch(MODEL_FILE);
  if (!response.ok) throw new Error(`${MODEL_FILE} cannot be fetched: the server answers ${response.status}.`);
  const model = await response.json().then(
    (read) => read as WebModel,
    () => {
      throw new Error(`${MODEL_FILE} is damaged.`);
    },
  );
  if (model?.format !== WEB_FORMAT) throw new Error(`${MODEL_FILE} is not what this page reads (${WEB_FORMAT}).`);
  return model;
}

readModel()
  .then((model) => new Page(model))
  .catch((error: Error) =>
    showError(
      location.protocol === 'file:'
        ? 'A browser does not start this page from a disk. Put its folder on a web server, for instance: python3 -m http.server'
        : `The page cannot be started: ${error.message}`,
    ),
  );
