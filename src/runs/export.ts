import { existsSync } from 'node:fs';
import { startEngine } from '../engines/selection.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { networkMetadata } from '../export/onnx/metadata.js';
import { encodeModel, type OnnxModel } from '../export/onnx/model.js';
import { type GraphOptions, networkGraph } from '../export/onnx/network.js';
import type { TrainedNetwork } from '../export/trained-network.js';
import { replaceableFiles, writeWebFolder } from '../export/web.js';
import type { WebModel } from '../export/web-model.js';
import { createKernels } from '../kernels/create.js';
import { architecture } from '../network/architecture.js';
import { formatLoadReport, type LoadSummary, loadSharedWeights, summarise } from '../network/load.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File, writeFileAtomic } from '../support/files.js';
import { formatBytes, formatNumber, shellWords } from '../support/format.js';
import { packageVersion } from '../support/package.js';
import type { DisplayMode } from '../terminal/display.js';
import { findNetwork, type NetworkName } from './named-network.js';
import { givenWeights } from './plan.js';

interface NetworkOptions extends NetworkName {
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** Fetch nothing. */
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
}

interface ExportOptions extends NetworkOptions {
  /** File or folder to write. */
  readonly output: string;
  /** Replace it. */
  readonly force: boolean;
}

interface OnnxOptions extends ExportOptions {
  readonly graph: GraphOptions;
}

/** A network that is ready to be exported. */
interface OpenedNetwork extends TrainedNetwork {
  /** File of the weights. */
  readonly file: string;
  readonly loadReport: LoadSummary;
}

interface Export {
  readonly row: string;
  /** File of the weights. */
  readonly weights: string;
  readonly loadReport: LoadSummary;
  readonly output: string;
  readonly bytes: number;
}

interface OnnxExport extends Export {
  readonly inputs: OnnxModel['graph']['inputs'];
  readonly outputs: OnnxModel['graph']['outputs'];
  readonly operatorSet: number;
  readonly metadata: Readonly<Record<string, string>>;
}

interface WebExport extends Export {
  readonly files: readonly string[];
  readonly model: WebModel;
}

const OPERATOR_SET = 17;

/**
 * Reads a row's network with its weights. Batch norm is folded on the wasm engine, which every machine has, so the same weights give the
 * same values everywhere.
 * @throws UserError if the recipe, weights or data set's description are wrong.
 */
export async function openNetwork(options: NetworkOptions): Promise<OpenedNetwork> {
  const { weightsKey, note } = options;
  const { given, experiment } = await findNetwork(options, 'fcn export ROW OUTPUT');
  const dataset = await predictedDataset(experiment);
  const file = await givenWeights(experiment, given.file, options);
  const weightsSha256 = await sha256File(file).catch((error: unknown) => {
    throw explainFileError(error, file, 'read');
  });
  const engine = await startEngine({ engine: 'wasm' });
  const loaded = await loadSharedWeights(engine, createKernels(engine), experiment.model, file, weightsKey);
  const loadReport = summarise(loaded.report);
  note(formatLoadReport('Weights', loadReport));
  const { trainedBy } = given;
  return { experiment, dataset, weights: loaded.weights, weightsSha256, trainedBy, file, loadReport };
}

/**
 * Writes a row's network with its weights as an ONNX file.
 * @throws UserError as `openNetwork`, or if the file exists or cannot be written.
 */
export async function exportOnnx(options: OnnxOptions): Promise<OnnxExport> {
  const { output, graph: graphOptions } = options;
  if (!options.force && existsSync(output)) {
    throw new UserError(`${output} exists already.`, 'Choose another name, or give --force to replace it.');
  }
  const network = await openNetwork(options);
  const { experiment, dataset, weights, file, loadReport } = network;
  const graph = networkGraph(experiment.row, architecture(experiment.model), weights, graphOptions);
  const metadata = networkMetadata(network, graphOptions);
  const bytes = encodeModel({
    graph,
    metadata,
    operatorSet: OPERATOR_SET,
    producer: { name: 'fcn', version: packageVersion() },
    description: `Semantic segmentation: ${experiment.method}, ${experiment.backbone}, trained on ${dataset.name}.`,
  });
  await writeFileAtomic(output, bytes);
  const { inputs, outputs } = graph;
  return {
    ...{ row: experiment.row, weights: file, loadReport, output, bytes: bytes.length },
    ...{ inputs, outputs, operatorSet: OPERATOR_SET, metadata },
  };
}

/**
 * Writes a folder with a page that runs a row's network in a browser.
 * @throws UserError as `openNetwork`, or if the folder holds something else or cannot be written.
 */
export async function exportWebPage(options: ExportOptions): Promise<WebExport> {
  const { output, force } = options;
  await replaceableFiles(output, force);
  const network = await openNetwork(options);
  const { files, bytes, model } = await writeWebFolder(output, network, { replace: force, signal: options.signal });
  const { file: weights, loadReport, experiment } = network;
  return { row: experiment.row, weights, loadReport, output, bytes, files, model };
}

/** What was written: the file, and what the network takes and gives. */
export function formatOnnxExport({ row, output, bytes, inputs, outputs, operatorSet }: OnnxExport): string {
  const value = ({ name, type, shape }: OnnxExport['inputs'][number]) => `${name}  ${type} [${shape.join(', ')}]`;
  return [
    `${row} exported to ${output}: ONNX, operator set ${operatorSet}, ${formatBytes(bytes)}`,
    ...inputs.map((input) => `  input   ${value(input)}`),
    ...outputs.map((result) => `  output  ${value(result)}`),
  ].join('\n');
}

/** What was written, and how to look at it. */
export function formatWebExport({ row, output, bytes, files, model }: WebExport): string {
  const parts = formatNumber(model.parts.length, 'part');
  return [
    `${row} exported to ${output}: a web page, ${files.length} files, ${formatBytes(bytes)}, weights in ${parts}`,
    `  Any web server shows it, for instance: npx http-server ${shellWords([output])}`,
  ].join('\n');
}
