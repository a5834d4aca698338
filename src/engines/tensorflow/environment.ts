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

/** Of glibc: the variable that sets it when a process starts, the parameter of mallopt (malloc.h), and its value here. */
const SETTINGS = [
  // By default every thread of TensorFlow's pool gets an arena of its own, each with free memory that the others cannot use.
  { variable: 'MALLOC_ARENA_MAX', parameter: -8, value: 1 },
  // Smaller blocks come from the heap. By default both limits rise whenever a larger block is freed, at any time in a run, and
  // the process's memory with them. This is the highest that glibc takes: lower ones slow the steps.
  { variable: 'MALLOC_MMAP_THRESHOLD_', parameter: -3, value: 32 * 2 ** 20 },
  // What is free at the heap's end goes back to the system where it is more.
  { variable: 'MALLOC_TRIM_THRESHOLD_', parameter: -1, value: 8 * 2 ** 20 },
] as const;

/**
 * Sets glibc's allocator for what is loaded from now on. Its environment variables (MALLOC_*) are read only when a process
 * starts; those that the user has set stay in force. Elsewhere this does nothing.
 */
export function tuneAllocator(host: HostAddon, environment: NodeJS.ProcessEnv = process.env): void {
  for (const { variable, parameter, value } of SETTINGS)
    if (environment[variable] === undefined) host.setAllocator(parameter, value);
}

/** The functions of this package's own addon (src/engines/native/host.cc). */
export interface HostAddon {
  /** glibc's mallopt(parameter, value). @returns false where there is none, or it refuses. */
  setAllocator(parameter: number, value: number): boolean;
  /** Holds standard error back until `releaseStandardError`. @returns false where that cannot be had. */
  captureStandardError(): boolean;
  /** Puts standard error back. @returns what was written meanwhile. */
  releaseStandardError(): string;
}

/**
 * Lines that TensorFlow prints at every start whatever its log level, since they come before its log is set up.
 */
const BANNER = [
  'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR',
  'oneDNN custom operations are on.',
];

/**
 * Does `work` (synchronous) without the banner that TensorFlow prints while it loads; every other line is passed on
 * once `work` has ended.
 */
export function withoutBanner<T>(host: HostAddon, work: () => T): T {
  const captured = host.captureStandardError();
  try {
    return work();
  } finally {
    if (captured) {
      const lines = host.releaseStandardError().split('\n');
      const kept = lines.filter((line) => !BANNER.some((part) => line.includes(part)));
      const text = kept.join('\n');
      if (text.trim() !== '') process.stderr.write(text);
    }
  }
}
