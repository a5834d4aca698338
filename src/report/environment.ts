import type { Environment } from '../runs/record.js';
import { formatBytes } from '../support/format.js';

/** What a run ran on, by name, in words. */
export function environmentEntries(environment: Environment): [name: string, text: string][] {
  const { engine, device, versions, node, system, processor, cores, memoryBytes, gpus } = environment;
  const ofGpus = gpus.map(
    ({ name, driver, memoryBytes: bytes }) =>
      `${name} (driver ${driver}${bytes === null ? '' : `, ${formatBytes(bytes)}`})`,
  );
  return [
    ['engine', `${engine}, ${device}`],
    ...Object.entries(versions),
    ['Node', node],
    ['system', system],
    ['processor', `${processor}, ${cores} cores`],
    ['memory', formatBytes(memoryBytes)],
    ['GPUs', ofGpus.length === 0 ? 'none' : ofGpus.join(', ')],
  ];
}
