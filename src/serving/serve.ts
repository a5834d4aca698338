import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ConvolutionMode, EngineName } from '../engines/engine.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import type { TrainedNetwork } from '../export/trained-network.js';
import { writeWebFolder } from '../export/web.js';
import { createKernels } from '../kernels/create.js';
import { formatLoadReport, loadSharedWeights } from '../network/load.js';
import type { TrainedBy } from '../records/record.js';
import { findNetwork, type NetworkName } from '../runs/named-network.js';
import { givenWeights } from '../runs/plan.js';
import { predictionThreads } from '../runs/prediction-threads.js';
import { openRecipePredictor, startPredictionEngine } from '../runs/recipe-predictor.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File } from '../support/files.js';
import type { DisplayMode } from '../terminal/display.js';
import { indexPage } from './index-page.js';
import type { Listening } from './listen.js';
import { PredictionServer } from './server.js';
import { openService } from './service.js';
import { type Site, siteOfFolder, siteOfPage } from './site.js';

type Limits = Parameters<typeof PredictionServer.start>[0]['limits'];

interface ServeOptions extends NetworkName {
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey?: string | undefined;
  readonly engine: EngineName | 'auto';
  readonly convolution: ConvolutionMode;
  /** See `PredictionWork`. */
  readonly threads?: number | undefined;
  /** Fetch nothing. */
  readonly offline: boolean;
  readonly host: string;
  readonly port: number;
  readonly queue: number;
  readonly limits: Limits;
  readonly allowOrigin: string | undefined;
  /** Also serve the page that runs the network in a browser. */
  readonly page: boolean;
  /** Ends the server, at a time at which no answer is lost. */
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
  /** Called once predictions are answered. */
  readonly onReady: (server: ReadyServer) => void;
}

/** A server that answers. */
export interface ReadyServer extends Pick<Listening, 'address' | 'port' | 'url'> {
  readonly row: string;
  /** The run that trained the weights; null if that is not known. */
  readonly run: TrainedBy | null;
  readonly classes: readonly string[];
}

/**
 * Serves predictions of a network until the signal is aborted.
 * @throws UserError if the network cannot be found or loaded, or the port is in use; what ended the engine, if that ends.
 */
export async function serveNetwork(options: ServeOptions): Promise<void> {
  const { note, signal, host, port, queue, limits, allowOrigin } = options;
  const found = await findNetwork(options, 'fcn serve ROW');
  const dataset = await predictedDataset(found.experiment);
  const { server, at } = await PredictionServer.start({ host, port, queue, limits, allowOrigin, log: note });
  if (!at.isLocal) {
    note(`Whoever can reach port ${at.port} of ${at.address} can use this server: it asks for no password.`);
  }
  const closing: Closing = [];
  try {
    const opened = await openServed(options, found, dataset, closing);
    if (signal.aborted) return;
    const { row } = found.experiment;
    const site = opened.site ?? siteOfPage(indexPage(at.url, { row, dataset: dataset.name }));
    server.serve({ service: opened.service, site });
    const { address, port: bound, url } = at;
    options.onReady({ address, port: bound, url, row, run: found.given.trainedBy, classes: dataset.classes });
    const ended = await Promise.race([server.ended, aborted(signal)]);
    if (ended !== null) throw ended.cause;
  } finally {
    await server.close();
    for (const close of closing.reverse()) await close();
  }
}

/** What ends what has been opened. */
type Closing = (() => Promise<void>)[];

/** Loads the network that a server predicts with, and makes its page. */
async function openServed(
  options: ServeOptions,
  found: Awaited<ReturnType<typeof findNetwork>>,
  dataset: Awaited<ReturnType<typeof predictedDataset>>,
  closing: Closing,
) {
  const { weightsKey, note } = options;
  const { given } = found;
  const { trainedBy } = given;
  const weights = await givenWeights(found.experiment, given.file, options);
  const weightsSha256 = await sha256File(weights).catch((error: unknown) => {
    throw explainFileError(error, weights, 'read');
  });
  const { engine, experiment } = await startPredictionEngine(found, options);
  // One image at a time.
  const work = { experiment, stage: 'evaluate', images: 1, threads: options.threads } as const;
  const copies = await predictionThreads(engine, work, note);
  const row = given.run === null ? options.name : undefined;
  const network = { engine, experiment, weights, weightsKey, copies, viewsOfImage: 1 };
  const opened = await openRecipePredictor(network, { ...options.recipe, row });
  closing.push(() => opened.close());
  note(formatLoadReport('Weights', opened.loadReport));
  const described = { experiment, dataset, weightsSha256, trainedBy };
  const site = options.page ? await makePage(network, described, closing) : null;
  const service = await openService({ ...described, engine, predictor: opened.predictor });
  closing.push(() => service.close());
  return { service, site };
}

/** Writes the page that runs the network in a browser into a folder of its own. */
async function makePage(
  { engine, experiment, weights: file, weightsKey }: Parameters<typeof openRecipePredictor>[0],
  described: Omit<TrainedNetwork, 'weights'>,
  closing: Closing,
): Promise<Site> {
  const { weights } = await loadSharedWeights(engine, createKernels(engine), experiment.model, file, weightsKey);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'fcn-serve-'));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  try {
    await writeWebFolder(folder, { ...described, weights }, { replace: true });
    return await siteOfFolder(folder);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const next = `${error.next ?? ''} Or serve without the page: --no-page.`.trim();
    throw new UserError(`The page cannot be made: ${error.message}`, next, { cause: error });
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
