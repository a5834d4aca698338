import type { IncomingMessage } from 'node:http';
import type { Dataset } from '../data/dataset.js';
import { ANY_FORMAT, readAnyImageSize } from '../data/decode.js';
import { beginsLikeImage } from '../data/image-format.js';
import type { PredictionSample } from '../data/workers/prediction-worker.js';
import { encodePrediction } from '../evaluation/prediction-png.js';
import { presentClasses } from '../prediction/classes.js';
import { drawOverlay, overlay } from '../prediction/output.js';
import type { PredictedSample } from '../prediction/predict.js';
import { UserError } from '../support/errors.js';
import { type Answer, jsonAnswer } from './answer.js';
import type { PredictionRequest } from './prediction-request.js';
import { RequestProblem } from './problem.js';
import type { Place } from './queue.js';
import { type BodyLimits, readBody } from './request-body.js';

/** Limits of an image that is sent. */
export interface ImageLimits extends BodyLimits {
  readonly maxPixels: number;
}

/** What predicts. */
export interface PredictionService {
  readonly dataset: Pick<Dataset, 'classes' | 'palette'>;
  /** What the server says about the network: the body of /model. */
  readonly model: Readonly<Record<string, unknown>>;
  /** @throws UserError if the image cannot be decoded. */
  read(bytes: Buffer, options: Pick<PredictionRequest, 'multiScale'>): Promise<PredictionSample>;
  /** @throws UserError if it cannot be predicted; ServiceEnded if nothing can be, any more; InterruptedError on abort. */
  predict(
    sample: PredictionSample,
    options: Pick<PredictionRequest, 'multiScale'>,
    signal: AbortSignal,
  ): Promise<PredictedSample>;
}

/** What errors call the image. */
export const SENT_IMAGE = 'The image sent';

const asProblem = (status: number) => (error: unknown) => {
  if (error instanceof UserError) throw new RequestProblem(status, error.message, error.next);
  throw error;
};

/** @throws RequestProblem if the body is no image, or one of too many pixels. */
async function requireImage(bytes: Buffer, { maxPixels }: ImageLimits): Promise<void> {
  if (bytes.length === 0) {
    throw new RequestProblem(400, 'The request has no body.', 'Send an image, as in curl --data-binary @IMAGE.');
  }
  if (!beginsLikeImage(bytes)) {
    throw new RequestProblem(415, 'The body is not an image of a format that is read.', `Send a ${ANY_FORMAT} image.`);
  }
  const { height, width } = await readAnyImageSize(SENT_IMAGE, bytes).catch(asProblem(400));
  if (height * width <= maxPixels) return;
  throw new RequestProblem(
    413,
    `The image has ${width}×${height} pixels, more than the ${maxPixels} that this server takes.`,
    'Send a smaller image, or start the server with a larger --max-pixels.',
  );
}

interface PredictionWork {
  readonly service: PredictionService;
  readonly wanted: PredictionRequest;
  readonly limits: ImageLimits;
  readonly place: Place;
  readonly signal: AbortSignal;
  /** Called when the request is no longer waiting. */
  readonly onTurn: () => void;
}

/**
 * Receives an image, waits for its turn, and predicts it.
 * @throws RequestProblem, the signal's reason on abort, or what the service throws.
 */
export async function answerPrediction(request: IncomingMessage, work: PredictionWork): Promise<Answer> {
  const { service, wanted, limits, place, signal, onTurn } = work;
  const bytes = await readBody(request, limits, signal);
  await requireImage(bytes, limits);
  await place.turn(signal);
  onTurn();
  const sample = await service.read(bytes, wanted).catch(asProblem(400));
  signal.throwIfAborted();
  const predicted = await service.predict(sample, wanted, signal).catch(asProblem(500));
  return encode(predicted, wanted, service);
}

async function encode(
  { image, prediction, seconds }: PredictedSample,
  { format, opacity }: PredictionRequest,
  { dataset, model }: PredictionService,
): Promise<Answer> {
  const { height, width } = image;
  if (format === 'overlay') {
    const blended = overlay(image, prediction, dataset.palette, opacity);
    return pngAnswer(await drawOverlay(blended, prediction, dataset));
  }
  const labels = await encodePrediction(prediction, width, height, dataset, false);
  if (format === 'png') return pngAnswer(labels);
  const classes = presentClasses(prediction, dataset.classes).map(({ id, name, share }) => ({
    ...{ id, name, pixels: Math.round(share * prediction.length), share },
  }));
  const { row, run } = model;
  return jsonAnswer({ row, run, size: { height, width }, seconds, classes, labels: labels.toString('base64') });
}

function pngAnswer(body: Buffer): Answer {
  return { status: 200, headers: { 'content-type': 'image/png' }, body };
}
