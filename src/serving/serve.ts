import type { ConvolutionMode, EngineName } from '../engines/engine.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { formatLoadReport } from '../network/load.js';
import type { TrainedBy } from '../records/record.js';
import { findNetwork, type NetworkName } from '../runs/named-network.js';
import { openNetwork, startPredictionEngine } from '../runs/open-network.js';
import { givenWeights } from '../runs/plan.js';
import { predictionThreads } from '../runs/prediction-threads.js';
import { explainFileError, sha256File } from '../support/files.js';
import type { DisplayMode } from '../terminal/display.js';
import { indexPage } from './index-page.js';
import type { Listening } from './listen.js';
import { PredictionServer } from './server.js';
import { openService } from './service.js';
import { siteOfPage } from './site.js';

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
export async function serve(options: ServeOptions): Promise<void> {
  const { note, signal, host, port, queue, limits, allowOrigin } = options;
  const found = await findNetwork(options, 'fcn serve ROW');
  const dataset = await predictedDataset(found.experiment);
  const { server, at } = await PredictionServer.start({ host, port, queue, limits, allowOrigin, log: note });
  if (!at.isLocal) {
    note(`Whoever can reach port ${at.port} of ${at.address} can use this server: it asks for no password.`);
  }
  let close = async () => {};
  try {
    const opened = await openServed(options, found, dataset);
    close = opened.close;
    if (signal.aborted) return;
    const { experiment } = found;
    const { row } = experiment;
    server.serve({ service: opened.service, site: siteOfPage(indexPage(at.url, { row, dataset: dataset.name })) });
    const { address, port: bound, url } = at;
    options.onReady({ address, port: bound, url, row, run: found.given.trainedBy, classes: dataset.classes });
    const ended = await Promise.race([server.ended, aborted(signal)]);
    if (ended !== null) throw ended.cause;
  } finally {
    await server.close();
    await close();
  }
}

/** Loads the network that a server predicts with. */
async function openServed(
  options: ServeOptions,
  found: Awaited<ReturnType<typeof findNetwork>>,
  dataset: Awaited<ReturnType<typeof predictedDataset>>,
) {
  const { weightsKey, note } = options;
  const { given } = found;
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
  const opened = await openNetwork(network, { ...options.recipe, row });
  note(formatLoadReport('Weights', opened.loadReport));
  const { predictor } = opened;
  const described = { engine, predictor, experiment, dataset, weightsSha256, trainedBy: given.trainedBy };
  const service = await openService(described);
  const close = async () => {
    await service.close();
    await opened.close();
  };
  return { service, close };
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
