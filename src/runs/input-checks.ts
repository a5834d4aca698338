import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { backboneOf } from '../recipe/backbones.js';
import type { Experiment } from '../recipe/experiment.js';
import { OverridesNeeded } from '../recipe/overrides.js';
import { UserError } from '../support/errors.js';
import { isFolder } from '../support/files.js';
import { formatBytes, formatNumber, listNames, shellWords } from '../support/format.js';
import type { PublishedHosts } from '../weights/hosts.js';
import type { FileRequest } from '../weights/published.js';
import { type CheckDataOptions, checkData } from './check-data.js';
import { PUBLISHED } from './plan.js';
import { type InputOptions, type RunData, readingStages, requireDataset, splitsOf } from './preflight.js';
import { type CommandWith, failed, orMistake, passed, type RunCheck } from './run-check.js';

export interface InputCheckOptions
  extends InputOptions,
    Pick<CheckDataOptions, 'checkData' | 'checkedData' | 'signal' | 'note' | 'display'> {
  readonly commandWith: CommandWith;
  /** Asked whether a file can be fetched. Default: that is assumed. */
  readonly hosts?: PublishedHosts;
}

interface CheckedData {
  readonly check: RunCheck;
  /** The data set of the stages; null if they read none, or it cannot be used. */
  readonly data: RunData | null;
}

/**
 * Checks the data set and, unless `checkData` is off, the samples that the run reads.
 * @returns null if the run reads no data.
 * @throws the signal's reason on abort.
 */
export async function checkDataset(experiment: Experiment, options: InputCheckOptions): Promise<CheckedData | null> {
  const { row, model, data } = experiment;
  const { stages, dataRoot, commandWith } = options;
  const reading = readingStages(options);
  if (splitsOf(reading).length === 0) return null;
  const { loadDataset } = await import('../data/description.js');
  const refused = (error: UserError, next: readonly string[]) => ({
    check: failed('data', row, error, next),
    data: null,
  });
  const dataset = await orMistake(() => loadDataset(data.dataset));
  if (dataset instanceof UserError) return refused(dataset, ['fcn datasets list']);
  const classes = dataset.classes.length;
  if (classes !== model.classes) {
    const error = new UserError(
      `model.classes is ${model.classes}, but the data set ${dataset.id} has ${classes} classes.`,
    );
    return refused(error, [commandWith(['--set', `model.classes=${classes}`], row)]);
  }
  // What evaluation during training reads is not part of the run's data set: a run may be resumed without it.
  const all = await orMistake(() => requireDataset(dataset, experiment, reading, options));
  if (all instanceof UserError) return refused(all, await waysToGet(dataset, experiment, all, options));
  const tooFew = await orMistake(() => requireBatch(dataset, experiment, all!, options));
  if (tooFew instanceof UserError) {
    return refused(tooFew, [commandWith(['--set', `training.batch=${all!.images['train']}`], row)]);
  }
  const bad = await orMistake(() => checkData({ ...options, experiment, stages: reading }));
  if (bad instanceof UserError) {
    return refused(bad, [verification(data.dataset, dataRoot), commandWith(['--skip-bad', 'N'])]);
  }
  const found = reading === stages ? all : await requireDataset(dataset, experiment, stages, options);
  return { check: passed('data', await describe(dataset, all!, dataRoot)), data: found };
}

/** @throws UserError if training reads fewer images than a batch has. */
async function requireBatch(
  dataset: Dataset,
  { training }: Experiment,
  { images }: RunData,
  { stages }: InputCheckOptions,
): Promise<void> {
  if (!stages.includes('train')) return;
  const { assertBatchFits } = await import('../data/loader.js');
  assertBatchFits(dataset, images['train']!, training.batch);
}

async function describe(dataset: Dataset, { images, described }: RunData, dataRoot: string): Promise<string> {
  const { datasetFolder } = await import('../data/split.js');
  const counts = Object.entries(images).map(([split, count]) => `${formatNumber(count, `${split} image`)}`);
  const kind = described.synthetic ? ' (synthetic)' : '';
  return `${dataset.name}${kind} in ${datasetFolder(dataset, dataRoot)}: ${listNames(counts)}`;
}

/** @param id As the recipe names the data set: an id, or the path of its description. */
const verification = (id: string, dataRoot: string) =>
  shellWords(['fcn', 'datasets', 'verify', id, '--data-root', dataRoot]);

/** Commands that make the data set, or say what is wrong with it. */
async function waysToGet(
  dataset: Dataset,
  experiment: Experiment,
  error: UserError,
  options: InputCheckOptions,
): Promise<string[]> {
  const { dataRoot, commandWith } = options;
  const id = experiment.data.dataset;
  const { UnfinishedError } = await import('../data/markers.js');
  const { datasetFolder } = await import('../data/split.js');
  const { PREPARABLE } = await import('../datasets/prepare/recipes.js');
  const { IMITATED } = await import('../datasets/generate/imitations.js');
  const root = ['--data-root', dataRoot];
  const prepare = shellWords(['fcn', 'datasets', 'prepare', id, '--from', 'DOWNLOADS', ...root]);
  if (error instanceof UnfinishedError) return [prepare];
  if (await isFolder(datasetFolder(dataset, dataRoot))) {
    const tolerant = { dataRoot, skipBad: 1 };
    const incomplete = await orMistake(() => requireDataset(dataset, experiment, readingStages(options), tolerant));
    const skipping = incomplete instanceof UserError ? [] : [commandWith(['--skip-bad', 'N'])];
    return [verification(id, dataRoot), ...skipping];
  }
  return [
    ...(PREPARABLE.includes(id) ? [prepare] : []),
    ...(IMITATED.includes(id) ? [shellWords(['fcn', 'datasets', 'generate', id, ...root])] : []),
    commandWith(['--data-root', 'DIR']),
  ];
}

/** " (97.8 MB)"; nothing if the size is not known. */
const sizeOf = (bytes: number | null) => (bytes === null ? '' : ` (${formatBytes(bytes)})`);

/** A command that copies a file to a place whose folder need not exist. */
const copyTo = (place: string) =>
  `${shellWords(['mkdir', '-p', path.dirname(place)])} && ${shellWords(['cp', 'FILE', place])}`;

/** A file that is not in the cache and must not be fetched. */
async function notFetched(
  name: 'backbone' | 'weights',
  row: string,
  request: FileRequest,
  others: readonly string[] = [],
): Promise<RunCheck> {
  const { cachedPlaces, notInCache } = await import('../weights/published.js');
  const [{ url }] = request.files;
  const place = cachedPlaces(request)[0]!.file;
  const { message } = await notInCache(request);
  const error = new UserError(`${message} Download ${url} elsewhere, and put it at ${place}.`);
  return failed(name, row, error, [takeDownloaded(request, place), ...others]);
}

/** The command that takes a file of the request that was downloaded elsewhere. */
const takeDownloaded = ({ command }: FileRequest, place: string) =>
  command === null ? copyTo(place) : `${command} --from FILE`;

interface Fetchable {
  readonly request: FileRequest;
  /** What it is, before its size. */
  readonly label: string;
  /** Null if it is not known. */
  readonly bytes: number | null;
}

/** A file that will be fetched: whether its host answers, as far as that may be asked. */
async function checkFetch(
  name: 'backbone' | 'weights',
  row: string,
  { request, label, bytes }: Fetchable,
  { hosts, commandWith }: InputCheckOptions,
  others: readonly string[] = [],
): Promise<RunCheck> {
  const [{ url, name: file }] = request.files;
  const answer = (await hosts?.ask(url)) ?? { bytes: null };
  if (!('problem' in answer)) {
    return passed(name, `${label}${sizeOf(bytes ?? answer.bytes)} will be fetched from ${url}`);
  }
  const { cachedPlaces } = await import('../weights/published.js');
  const take = takeDownloaded(request, cachedPlaces(request)[0]!.file);
  const error = new UserError(
    `${answer.problem.message} ${file}${sizeOf(bytes)}, ${request.subject}, is not in the cache. ` +
      `Download ${url} elsewhere, or name a mirror.`,
  );
  const check = failed(name, row, error, [take, `FCN_MIRROR=ADDRESS ${commandWith([])}`, ...others]);
  return answer.mayPass ? { ...check, state: 'warning' } : check;
}

interface CheckedStart {
  readonly check: RunCheck;
  /** The file of the recipe's initial weights, or `published`; null if training starts from a backbone, or they cannot be used. */
  readonly initialWeights: string | null;
}

/**
 * Checks what training starts from: the recipe's initial weights, or else its pretrained backbone. Returns null if nothing is trained,
 * or training starts from random weights.
 */
export async function checkStart(experiment: Experiment, options: InputCheckOptions): Promise<CheckedStart | null> {
  const { row, model } = experiment;
  const { stages, commandWith } = options;
  if (!stages.includes('train')) return null;
  if ((model.initialWeights ?? null) !== null) {
    const { requireInitialWeights } = await import('./weights-argument.js');
    const found = await orMistake(() => requireInitialWeights(experiment, options));
    if (found === PUBLISHED) {
      const check = await checkPublishedWeights(experiment, options);
      return { check, initialWeights: check.state === 'missing' ? null : found };
    }
    if (!(found instanceof UserError)) {
      return { check: passed('weights', `training starts from ${found}`), initialWeights: found };
    }
    const overrides = found instanceof OverridesNeeded ? found.overrides : ['initialWeights=FILE'];
    return { check: failed('weights', row, found, [commandWith(overridingFlags(overrides))]), initialWeights: null };
  }
  const pretrained = backboneOf(model);
  if (pretrained === null) return null;
  return { check: await checkBackbone(experiment, pretrained, options), initialWeights: null };
}

const overridingFlags = (overrides: readonly string[]) => overrides.flatMap((override) => ['--set', override]);

async function checkBackbone(
  { row, model }: Experiment,
  pretrained: string,
  options: InputCheckOptions,
): Promise<RunCheck> {
  const { offline, signal, commandWith } = options;
  const { backboneState, requireFittingBackbone } = await import('../training/pretrained.js');
  // A recorded deviation: training from scratch.
  const scratch = commandWith(['--set', 'pretrained=null']);
  const others = [commandWith(['--set', 'pretrained=FILE']), scratch];
  const found = await orMistake(() => backboneState(pretrained, { offline, signal }));
  if (found instanceof UserError) return failed('backbone', row, found, others);
  const misfit = await orMistake(() => requireFittingBackbone(model, pretrained, found));
  if (misfit instanceof UserError) {
    const needed = misfit instanceof OverridesNeeded ? [commandWith(overridingFlags(misfit.overrides))] : [];
    return failed('backbone', row, misfit, [...needed, ...others]);
  }
  switch (found.state) {
    case 'present':
      return passed('backbone', `${pretrained}: ${found.file}`);
    case 'fetchable':
      return checkFetch('backbone', row, { ...found, label: pretrained }, options, [scratch]);
    case 'missing':
      return found.request === undefined
        ? failed('backbone', row, found.error, others)
        : notFetched('backbone', row, found.request, [scratch]);
  }
}

/**
 * Checks given weights without fetching any: a file exists and has the structure of a checkpoint; published ones have a link or,
 * offline, are in the cache. Returns null if none are given.
 */
export async function checkWeights(experiment: Experiment, options: InputCheckOptions): Promise<RunCheck | null> {
  const { row, weights: url } = experiment;
  const { weights, weightsKey, commandWith } = options;
  if (weights === undefined) return null;
  if (weights === PUBLISHED) return checkPublishedWeights(experiment, options);
  const { readCheckpoint } = await import('../weights/load.js');
  const checkpoint = await orMistake(() => readCheckpoint(weights, weightsKey));
  if (!(checkpoint instanceof UserError)) {
    return passed('weights', `${path.basename(weights)}: ${formatNumber(checkpoint.tensors.size, 'tensor')}`);
  }
  return failed('weights', row, checkpoint, [
    ...(existsSync(weights) ? [shellWords(['fcn', 'weights', 'show', weights])] : []),
    commandWith(['--weights', 'FILE']),
    ...(url === null ? [] : [commandWith(['--weights', PUBLISHED], row)]),
  ]);
}

async function checkPublishedWeights(experiment: Experiment, options: InputCheckOptions): Promise<RunCheck> {
  const { row } = experiment;
  const { offline, signal, commandWith } = options;
  const { findCached } = await import('../weights/published.js');
  const { experimentWeights } = await import('../weights/requests.js');
  const request = await orMistake(() => experimentWeights(experiment));
  const others = [commandWith(['--weights', 'FILE'], row)];
  if (request instanceof UserError) return failed('weights', row, request, others);
  const cached = await orMistake(() => findCached(request, { signal }));
  if (cached instanceof UserError) return failed('weights', row, cached, others);
  if (cached !== null) return passed('weights', `as published: ${cached.file}`);
  if (offline) return notFetched('weights', row, request);
  return checkFetch('weights', row, { request, label: 'the published weights', bytes: null }, options);
}
