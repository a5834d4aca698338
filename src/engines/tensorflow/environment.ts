/**
 * Settings that TensorFlow reads from the environment while its library loads. Those that the user has set stay.
 * Must be called before the library is loaded; later it has no effect.
 */
export function prepareEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  for (const [name, value] of Object.entries(DEFAULTS)) environment[name] ??= value;
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
