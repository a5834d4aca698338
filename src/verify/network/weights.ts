import { readCheckpoint } from '../../weights/load.js';
import { Collector, type Findings, Worst } from '../check.js';
import { largestDifference } from '../compare.js';
import { TOLERANCES } from '../tolerances.js';
import type { NetworkCase } from './case.js';

/** Containers of the same weights that a case may hold beside the one that is used. */
const OTHERS = ['model.pth', 'model_legacy.pth'];

/** Compares the weights in every container that a case has. @throws UserError when one cannot be read. */
export async function weightsChecks(networkCase: NetworkCase): Promise<Findings> {
  const findings = new Collector(networkCase.name);
  const { folder } = networkCase;
  const used = networkCase.weights();
  const others = OTHERS.filter((name) => folder.has(name) && folder.file(name) !== used);
  if (others.length === 0) return findings;
  const { tensors } = await readCheckpoint(used);
  for (const name of others) {
    const other = await readCheckpoint(folder.file(name));
    const worst = new Worst().add(other.tensors.size - tensors.size, 'number of tensors');
    for (const [key, tensor] of tensors) {
      const values = other.tensors.get(key)?.toFloat32() ?? new Float32Array();
      worst.add(largestDifference(values, tensor.toFloat32()), key);
    }
    findings.add(`weights in ${name}`, TOLERANCES.sameWeights, worst);
  }
  return findings;
}
