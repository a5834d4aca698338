import { tensorflowState } from '../../engines/selection.js';
import type { CheckedRun } from '../../runs/checks.js';
import type { RunCheck } from '../../runs/run-check.js';
import { formatNumber } from '../../support/format.js';
import { type ClusterOptions, gpusOf } from '../cluster-options.js';
import { problem, warning } from './findings.js';
import type { NodeKind } from './partitions.js';

/** Node's names of processors, as `uname -m` has them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Whether what is installed here can run there. @param nodes That the job may use. @param checked Of each task. */
export async function engineChecks(
  options: ClusterOptions,
  nodes: readonly NodeKind[],
  checked: readonly CheckedRun[],
): Promise<RunCheck[]> {
  const own = ARCHITECTURES[process.arch] ?? process.arch;
  const others = nodes.filter(({ architecture }) => architecture !== null && architecture !== own);
  const alike = nodes.length > others.length;
  const found: RunCheck[] = [];
  if (others.length > 0) {
    const [{ name, architecture }] = others as [NodeKind];
    const who =
      others.length === 1 ? `${name} has` : `${name} and ${formatNumber(others.length - 1, 'other node')} have`;
    const all = `${who} ${architecture} processors, this machine ${own}: Node and the engine that are installed here do not run there.`;
    found.push(
      alike ? warning('engine', `${all} Choose others with --constraint or --partition.`) : problem('engine', all),
    );
  }
  found.push(...(await gpuChecks(options, checked)));
  return found;
}

/** Whether the engine that is installed uses the GPU that is asked for. */
async function gpuChecks({ gpus }: ClusterOptions, checked: readonly CheckedRun[]): Promise<RunCheck[]> {
  const native = checked.some(({ engine }) => engine?.isNative === true);
  if (gpusOf(gpus).count === 0 || checked.every(({ engine }) => engine === null)) return [];
  const install = 'fcn engines install --gpu';
  if (!native) return [problem('engine', 'The wasm engine uses no GPU, but --gpus asks for one.', install)];
  const state = await tensorflowState();
  if (state.kind !== 'ready' || state.manifest.variant === 'gpu') return [];
  return [problem('engine', 'The native engine that is installed uses no GPU, but --gpus asks for one.', install)];
}
