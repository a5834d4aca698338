import type { IncomingHttpHeaders } from 'node:http';
import { nearest } from '../support/suggest.js';
import { RequestProblem } from './problem.js';

/** What a prediction is answered as: the label map as `fcn predict` writes it, its overlay, or JSON with the label map. */
const FORMATS = ['png', 'overlay', 'json'] as const;
type Format = (typeof FORMATS)[number];

/** What a request for a prediction asks for. */
export interface PredictionRequest {
  readonly format: Format;
  /** Use all ratios of the recipe, each also flipped. */
  readonly multiScale: boolean;
  /** Of the overlay's colours, 0 to 1. */
  readonly opacity: number;
}

const PARAMETERS = ['format', 'ms-flip', 'opacity'] as const;

/**
 * What the parameters ask for; the format, if they do not say, is what the client accepts, a PNG if it accepts both.
 * @throws RequestProblem for an unknown parameter or value, or if the client accepts neither PNG nor JSON.
 */
export function parsePredictionRequest(
  parameters: URLSearchParams,
  { accept }: Pick<IncomingHttpHeaders, 'accept'>,
): PredictionRequest {
  for (const name of parameters.keys()) if (!PARAMETERS.some((known) => known === name)) throw unknownParameter(name);
  const given = parameters.get('format');
  const format = FORMATS.find((one) => one === given);
  if (given !== null && format === undefined) throw wrongValue('format', given, FORMATS.join(', '));
  return {
    format: format ?? acceptedFormat(accept),
    multiScale: parseSwitch('ms-flip', parameters.get('ms-flip')),
    opacity: parsePercent('opacity', parameters.get('opacity') ?? '50') / 100,
  };
}

function unknownParameter(name: string): RequestProblem {
  const meant = nearest(name, PARAMETERS);
  return new RequestProblem(
    400,
    `"${name}" is no parameter of /predict.`,
    meant === undefined ? `It takes ${PARAMETERS.join(', ')}.` : `Did you mean ${meant}?`,
  );
}

function wrongValue(name: string, value: string, expected: string): RequestProblem {
  return new RequestProblem(400, `The parameter ${name} is "${value}".`, `Give it one of: ${expected}.`);
}

function parseSwitch(name: string, value: string | null): boolean {
  if (value === null || value === '0') return false;
  if (value === '1') return true;
  throw wrongValue(name, value, '0, 1');
}

function parsePercent(name: string, value: string): number {
  if (/^\d{1,3}$/.test(value) && Number(value) <= 100) return Number(value);
  throw wrongValue(name, value, '0 to 100');
}

const MEDIA_TYPES = { png: 'image/png', json: 'application/json' } as const;

/** The weight that a header Accept gives a media type (RFC 9110, 12.5.1): that of the most specific range; 0 if none. */
function acceptedWeight(accept: string, type: string): number {
  const ranges = new Map(
    accept.split(',').map((range) => {
      const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((one) => one.startsWith('q='))?.slice(2) ?? '1';
      return [name, Number(weight)];
    }),
  );
  const matching = [type, type.replace(/\/.*/, '/*'), '*/*'];
  return matching.map((name) => ranges.get(name)).find((weight) => weight !== undefined) ?? 0;
}

function acceptedFormat(accept = '*/*'): Format {
  const [png, json] = [acceptedWeight(accept, MEDIA_TYPES.png), acceptedWeight(accept, MEDIA_TYPES.json)];
  if (png > 0 && png >= json) return 'png';
  if (json > 0) return 'json';
  throw new RequestProblem(
    406,
    `The request accepts neither ${MEDIA_TYPES.png} nor ${MEDIA_TYPES.json}.`,
    'Accept one of them, or give ?format=.',
  );
}

/** What curl says of any body unless it is told otherwise. */
const CURL_DEFAULT = 'application/x-www-form-urlencoded';

/** @throws RequestProblem if the body is said to be something else than an image. */
export function requireImageType({ 'content-type': given = '' }: Pick<IncomingHttpHeaders, 'content-type'>): void {
  const type = given.split(';')[0]!.trim().toLowerCase();
  if (['', 'application/octet-stream', CURL_DEFAULT].includes(type) || /^image\/[\w.+-]+$/.test(type)) return;
  throw new RequestProblem(
    415,
    `The body is said to be ${type}, expected an image.`,
    'Send the bytes of the image as the body, as in curl --data-binary @IMAGE.',
  );
}
