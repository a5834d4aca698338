/**
 * Settings that TensorFlow reads from the environment while its library loads. Those that the user has set stay, except where
 * they contradict `deterministic`.
 * Must be called before the library is loaded; later it has no effect.
 * @returns whether operations on a GPU are deterministic: asked for here, or by the user's own TF_DETERMINISTIC_OPS.
 */
export function prepareEnvironment(deterministic: boolean, environment: NodeJS.ProcessEnv = process.env): boolean {
  for (const [name, value] of Object.entries(DEFAULTS)) environment[name] ??= value;
  // As TensorFlow reads it.
  const asked = deterministic || ['1', 'true'].includes(environment['TF_DETERMINISTIC_OPS']?.toLowerCase() ?? '');
  if (asked) Object.assign(environment, DETERMINISTIC);
  return asked;
}

const DEFAULTS: Readonly<Record<string, string>> = {
  // Warnings and errors only.
  TF_CPP_MIN_LOG_LEVEL: '2',
  // On by itself only on processors with neural-network instructions; the gradients of dilated convolutions need it on all.
  TF_ENABLE_ONEDNN_OPTS: '1',
  // Otherwise all of the GPU's memory is taken at the start, and no figure of memory means anything.
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  // A recipe's fp32 is float32: NVIDIA's libraries would round the factors of convolutions to 10 bits on GPUs that have TF32.
  NVIDIA_TF32_OVERRIDE: '0',
};

/** What makes operations on a GPU give the same bits in every run. */
const DETERMINISTIC: Readonly<Record<string, string>> = {
  // Operations take their deterministic algorithm; those that have none fail.
  TF_DETERMINISTIC_OPS: '1',
  // cuDNN's gradients of convolutions and of max pools, too.
  TF_CUDNN_DETERMINISTIC: '1',
  // The algorithm that was fastest in a trial may be another one in the next run.
  TF_CUDNN_USE_AUTOTUNE: '0',
};
