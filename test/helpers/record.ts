import { differences, hashExperiment, type ResolveOptions, resolveRow } from '../../src/recipe/resolve.js';
import { selectRow } from '../../src/recipe/select.js';
import { loadTables, type Row } from '../../src/recipe/tables.js';
import type { RunRecord } from '../../src/records/record.js';

const NO_DETAILS: RunRecord['details'] = { train: null, evaluate: null, 'evaluate-ms': null, benchmark: null };

let rows: ReadonlyMap<string, Row> | null = null;

/** A row of the package's tables, which are read once, or of a file. */
function rowOf({ row, file }: ResolveOptions): Row {
  rows ??= new Map(loadTables().flatMap((table) => table.rows.map((one) => [one.id, one])));
  const known = file === undefined ? rows.get(row ?? '') : undefined;
  return known ?? selectRow(row, file);
}

/** A valid record of a run of this experiment, as it would be without any stage; `changes` replace whole fields. */
export function makeRecord(options: ResolveOptions, changes: Partial<RunRecord> = {}): RunRecord {
  const found = rowOf(options);
  const experiment = resolveRow(found, options);
  const { row, table, profile, seed } = experiment;
  return {
    format: 1,
    run: '20250102-030405-01234567',
    row,
    table,
    profile,
    seed,
    experiment: structuredClone(experiment) as RunRecord['experiment'],
    experimentHash: hashExperiment(experiment),
    overrides: [...(options.overrides ?? [])],
    deviations: differences(experiment, found.recipe),
    dataset: { id: experiment.data.dataset, fingerprint: 'ab'.repeat(32), synthetic: false },
    weights: { file: 'iteration-100.safetensors', sha256: 'cd'.repeat(32), source: 'trained' },
    code: { version: '0.1.0', commit: null },
    environment: {
      engine: 'wasm',
      device: 'cpu',
      versions: { 'TensorFlow.js': '4.22.0' },
      node: '20.20.2',
      system: 'Linux 6.1.0 x64',
      processor: 'Processor 9000',
      cores: 2,
      memoryBytes: 8 * 2 ** 30,
      gpus: [],
    },
    startedAt: '2025-01-02T03:04:05.000Z',
    endedAt: '2025-01-02T03:14:05.000Z',
    exitReason: 'completed',
    error: null,
    stages: [{ stage: 'train', startedAt: '2025-01-02T03:04:06.000Z', seconds: 12.5 }],
    figures: { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null },
    details: NO_DETAILS,
    ...changes,
  };
}
