import type { Engine } from '../engines/engine.js';
import { describeHardware } from '../engines/hardware.js';
import type { Environment } from './record.js';

/** What the figures of a run depend on besides its recipe: engine, libraries, machine. */
export async function captureEnvironment(engine: Engine): Promise<Environment> {
  const { node, system, processor, cores, memoryBytes, gpus } = await describeHardware();
  return {
    engine: engine.name,
    device: engine.device,
    deterministic: engine.deterministic,
    versions: { ...engine.versions },
    node,
    system,
    processor,
    cores,
    memoryBytes,
    gpus: gpus.map((gpu) => ({ ...gpu })),
  };
}

/** The hardware that figures of speed and memory belong to, in one line. */
export function hardwareName({ device, gpus, processor, cores, engine }: Environment): string {
  const where = device === 'gpu' && gpus[0] !== undefined ? gpus[0].name : `${processor}, ${cores} cores`;
  return `${where} (${engine})`;
}
