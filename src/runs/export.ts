import { existsSync } from 'node:fs';
import { startEngine } from '../engines/selection.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { networkMetadata } from '../export/onnx/metadata.js';
import { encodeModel, type OnnxModel } from '../export/onnx/model.js';
import { type GraphOptions, networkGraph } from '../export/onnx/network.js';
import { createKernels } from '../kernels/create.js';
import { architecture } from '../network/architecture.js';
import { formatLoadReport, type LoadSummary, loadSharedWeights, summarise } from '../network/load.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File, writeFileAtomic } from '../support/files.js';
import { formatBytes } from '../support/format.js';
import { packageVersion } from '../support/package.js';
import type { DisplayMode } from '../terminal/display.js';
import { findNetwork, type NetworkName } from './named-network.js';
import { givenWeights } from './plan.js';

interface ExportOptions extends NetworkName {
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** File to write. */
  readonly output: string;
  /** Replace it. */
  readonly force: boolean;
  readonly graph: GraphOptions;
  /** Fetch nothing. */
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly display: DisplayMode;
}

interface Export {
  readonly row: string;
  /** File of the weights. */
  readonly weights: string;
  readonly loadReport: LoadSummary;
  readonly output: string;
  readonly bytes: number;
  readonly inputs: OnnxModel['graph']['inputs'];
  readonly outputs: OnnxModel['graph']['outputs'];
  readonly operatorSet: number;
  readonly metadata: Readonly<Record<string, string>>;
}

const OPERATOR_SET = 17;

/**
 * Writes a row's network with its weights as an ONNX file. Batch norm is folded on the wasm engine, which every machine has, so the same
 * weights give the same file everywhere.
 * @throws UserError if the recipe, weights or data set's description are wrong, or the file exists or cannot be written.
 */
export async function exportOnnx(options: ExportOptions): Promise<Export> {
  const { output, graph: graphOptions, weightsKey, note } = options;
  if (!options.force && existsSync(output)) {
    throw new UserError(`${output} exists already.`, 'Choose another name, or give --force to replace it.');
  }
  const { given, experiment } = await findNetwork(options, 'fcn export ROW OUTPUT');
  const dataset = await predictedDataset(experiment);
  const weights = await givenWeights(experiment, given.file, options);
  const weightsSha256 = await sha256File(weights).catch((error: unknown) => {
    throw explainFileError(error, weights, 'read');
  });
  const engine = await startEngine({ engine: 'wasm' });
  const { model } = experiment;
  const loaded = await loadSharedWeights(engine, createKernels(engine), model, weights, weightsKey);
  const loadReport = summarise(loaded.report);
  note(formatLoadReport('Weights', loadReport));
  const graph = networkGraph(experiment.row, architecture(model), loaded.weights, graphOptions);
  const metadata = networkMetadata({
    experiment,
    dataset,
    weightsSha256,
    trainedBy: given.trainedBy,
    options: graphOptions,
  });
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
    ...{ row: experiment.row, weights, loadReport, output, bytes: bytes.length },
    ...{ inputs, outputs, operatorSet: OPERATOR_SET, metadata },
  };
}

/** What was written: the file, and what the network takes and gives. */
export function formatExport({ row, output, bytes, inputs, outputs, operatorSet }: Export): string {
  const value = ({ name, type, shape }: Export['inputs'][number]) => `${name}  ${type} [${shape.join(', ')}]`;
  return [
    `${row} exported to ${output}: ONNX, operator set ${operatorSet}, ${formatBytes(bytes)}`,
    ...inputs.map((input) => `  input   ${value(input)}`),
    ...outputs.map((result) => `  output  ${value(result)}`),
  ].join('\n');
}
