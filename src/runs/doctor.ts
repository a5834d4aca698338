import path from 'node:path';
import { type FoundDataset, listDatasets } from '../datasets/list.js';
import type { EngineName } from '../engines/engine.js';
import { describeHardware, type Hardware } from '../engines/hardware.js';
import {
  type EngineStatus,
  engineStatus,
  missingForTensorflow,
  nativeEngine,
  reasonOfAuto,
} from '../engines/selection.js';
import type { AdapterDescription } from '../engines/webgpu/adapters.js';
import { formatFileSize, formatNumber } from '../support/format.js';
import { cacheDirectory, packageVersion } from '../support/package.js';

export interface DoctorReport {
  readonly version: string;
  /** The engine that commands would use with these settings; null if it is not available. */
  readonly engine: EngineName | null;
  readonly chosenBy: string;
  readonly engines: readonly EngineStatus[];
  /** What is missing to install the native engine; empty if it is available. */
  readonly missing: readonly string[];
  readonly hardware: Hardware;
  readonly cacheDirectory: string;
  readonly dataRoot: string;
  readonly datasets: readonly FoundDataset[];
}

export async function examine(settings: {
  readonly engine: EngineName | 'auto';
  readonly dataRoot: string;
}): Promise<DoctorReport> {
  const dataRoot = path.resolve(settings.dataRoot);
  const [engines, hardware, datasets] = await Promise.all([engineStatus(), describeHardware(), listDatasets(dataRoot)]);
  const isAuto = settings.engine === 'auto';
  const chosen = engines.find((engine) => (isAuto ? engine.isDefault : engine.name === settings.engine));
  return {
    version: packageVersion(),
    engine: chosen?.available ? chosen.name : null,
    chosenBy: isAuto ? `auto: ${await reasonOfAuto()}` : '--engine or FCN_ENGINE',
    engines,
    missing: nativeEngine(engines).available ? [] : await missingForTensorflow(),
    hardware,
    cacheDirectory: cacheDirectory(),
    dataRoot,
    datasets,
  };
}

/** How to get data sets that are missing. */
const MISSING = [
  '    fcn datasets prepare NAME --from DOWNLOADS   makes one from its downloads',
  '    fcn datasets generate NAME                   makes a synthetic one',
  '    fcn init DIR --images DIR --labels DIR       describes your own images',
  '    fcn doctor ROW                               says what a row needs',
];

/** The report as lines for a terminal. */
export function formatDoctor(report: DoctorReport): string {
  const { hardware } = report;
  return [
    `fcn ${report.version} on Node ${hardware.node}, ${hardware.system}`,
    `processor  ${hardware.processor}, ${hardware.cores} cores, ${gibibytes(hardware.memoryBytes)}`,
    ...(hardware.gpus.length === 0 ? ['gpu        none found by nvidia-smi'] : hardware.gpus.map(formatGpu)),
    `cache      ${report.cacheDirectory}`,
    '',
    `engine     ${report.engine ?? 'none available'} (${report.chosenBy})`,
    ...report.engines.flatMap(formatEngine),
    ...report.missing.map((line) => `             ${line}`),
    ...(hasIdleGpu(report)
      ? ['             There is a GPU: fcn engines install --gpu installs the build that uses it.']
      : []),
    '',
    `data sets  in ${report.dataRoot}`,
    ...report.datasets.map((dataset) =>
      formatDataset(dataset, Math.max(...report.datasets.map(({ id }) => id.length))),
    ),
    ...(report.datasets.some(({ present }) => !present) ? MISSING : []),
  ].join('\n');
}

/** Whether there is a GPU that the installed native engine does not use. */
function hasIdleGpu({ hardware, engines }: DoctorReport): boolean {
  return hardware.gpus.length > 0 && nativeEngine(engines).halfPrecision !== 'fp16';
}

function formatGpu({ name, driver, memoryBytes }: Hardware['gpus'][number]): string {
  return `gpu        ${name}${memoryBytes === null ? '' : `, ${gibibytes(memoryBytes)}`}, driver ${driver}`;
}

const HALF_NAMES = { fp16: 'float16', bf16: 'bfloat16' } as const;

function formatEngine({ name, available, halfPrecision, reason, versions, adapters = [] }: EngineStatus): string[] {
  const libraries = Object.entries(versions).map(([library, version]) => `${library} ${version}`);
  const precision =
    halfPrecision === null
      ? 'float32 only'
      : `mixed precision in ${HALF_NAMES[halfPrecision]} (--precision ${halfPrecision})`;
  return [
    `  ${available ? '✓' : '✗'} ${name.padEnd(10)} ${reason}`,
    `             ${libraries.join(', ')}`,
    ...(available ? [`             ${precision}`] : []),
    ...adapters.flatMap(formatAdapter),
  ];
}

/** What of the webgpu engine's adapter may matter: its memory, the largest tensor, and features that make it faster. */
function formatAdapter({ index, name, backend, driver, memoryBytes, limits, features, software }: AdapterDescription) {
  const memory = memoryBytes === null ? 'memory unknown to WebGPU' : gibibytes(memoryBytes);
  const used = ['shader-f16', 'subgroups', 'timestamp-query'].filter((feature) => features.includes(feature));
  const largest = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  return [
    `             adapter ${index}: ${name} (${backend}${software ? ', software' : ''}), driver ${driver || 'unknown'}, ${memory}`,
    `               tensors up to ${formatFileSize(largest)}; ${used.length === 0 ? 'no optional features' : used.join(', ')}`,
  ];
}

function formatDataset({ id, images, synthetic, present, problem }: FoundDataset, width: number): string {
  const splits = Object.entries(images).map(([split, count]) => `${split} ${formatNumber(count, 'image')}`);
  const found = `${splits.join(', ')}${synthetic ? ' (synthetic)' : ''}`;
  return `  ${problem === null ? '✓' : '✗'} ${id.padEnd(width)} ${problem === null ? found : present ? problem : 'missing'}`;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
