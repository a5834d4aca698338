import { tensorflowState } from '../../engines/selection.js';
import type { CheckedRun, RunCheckOptions } from '../../runs/checks.js';
import type { CommandWith, RunCheck } from '../../runs/run-check.js';
import { formatNumber } from '../../support/format.js';
import { type ClusterOptions, gpusOf, type OptionOrigins } from '../cluster-options.js';
import { problem, warning, written } from './findings.js';
import type { NodeKind } from './partitions.js';

/** Node's names of processors, as `uname -m` has them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Whether what is installed here can run there. @param nodes That the job may use. @param checked Of each task. */
export async function engineChecks(
  asked: AskedEngine,
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
  found.push(...(await gpuChecks(asked, checked)));
  return found;
}

/** What is asked of the cluster, and of the engine. */
interface AskedEngine {
  readonly options: ClusterOptions;
  readonly origins: OptionOrigins;
  readonly engine: RunCheckOptions['engine'];
  readonly commandWith: CommandWith;
}

/** Whether the engine of the tasks uses the GPU that is asked for. */
async function gpuChecks(asked: AskedEngine, checked: readonly CheckedRun[]): Promise<RunCheck[]> {
  const { options, engine, commandWith } = asked;
  const native = checked.some(({ engine }) => engine?.isNative === true);
  if (gpusOf(options.gpus).count === 0 || checked.every(({ engine }) => engine === null)) return [];
  const gpus = written(asked, 'gpus');
  if (!native && engine !== 'auto') {
    const text = `The ${engine} engine uses no GPU, but ${gpus} asks for one. Leave out one of the two.`;
    return [problem('engine', text, commandWith(['--engine', 'auto']))];
  }
  const install = 'fcn engines install --gpu';
  if (!native) {
    const text = `The wasm engine, the only one that is installed, uses no GPU, but ${gpus} asks for one.`;
    return [problem('engine', text, install)];
  }
  const state = await tensorflowState();
  if (state.kind !== 'ready' || state.manifest.variant === 'gpu') return [];
  return [problem('engine', `The native engine that is installed uses no GPU, but ${gpus} asks for one.`, install)];
}
