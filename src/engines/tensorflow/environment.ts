/**
 * Sets what TensorFlow reads from the environment while its library loads; later it has no effect. What the user has set stays, unless
 * it contradicts `deterministic`.
 * @returns whether GPU operations are deterministic: asked for here, or by the user's own TF_DETERMINISTIC_OPS.
 */
export function prepareEnvironment(deterministic: boolean, environment: NodeJS.ProcessEnv = process.env): boolean {
  for (const [name, value] of Object.entries(DEFAULTS)) environment[name] ??= value;
  // TensorFlow reads the variable in the same way.
  const asked = deterministic || ['1', 'true'].includes(environment['TF_DETERMINISTIC_OPS']?.toLowerCase() ?? '');
  if (asked) Object.assign(environment, DETERMINISTIC);
  return asked;
}

const DEFAULTS: Readonly<Record<string, string>> = {
  // Warnings and errors only.
  TF_CPP_MIN_LOG_LEVEL: '2',
  // By default only on for CPUs with neural-network instructions; gradients of dilated convolutions need it everywhere.
  TF_ENABLE_ONEDNN_OPTS: '1',
  // Otherwise TensorFlow takes all GPU memory at the start, and measured memory means nothing.
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  // Recipes with fp32 mean float32; with TF32, NVIDIA's libraries round the factors of convolutions to 10 bits.
  NVIDIA_TF32_OVERRIDE: '0',
};

/** Makes GPU operations give the same bits in every run. */
const DETERMINISTIC: Readonly<Record<string, string>> = {
  // Operations use their deterministic algorithm; those without one fail.
  TF_DETERMINISTIC_OPS: '1',
  // Also cuDNN's gradients of convolutions and max pools.
  TF_CUDNN_DETERMINISTIC: '1',
  // Autotuning may choose another algorithm in the next run.
  TF_CUDNN_USE_AUTOTUNE: '0',
};

/** Settings of glibc's allocator: environment variable, parameter of mallopt (malloc.h), and value. */
const ALLOCATOR_SETTINGS = [
  // By default every thread of TensorFlow's pool has its own arena, whose free memory other threads cannot use.
  { variable: 'MALLOC_ARENA_MAX', parameter: -8, value: 1 },
  // Smaller blocks come from the heap. By default this limit and the next rise whenever a larger block is freed, and so does the
  // process's memory. This is the highest value that glibc accepts; lower ones slow the steps down.
  { variable: 'MALLOC_MMAP_THRESHOLD_', parameter: -3, value: 32 * 2 ** 20 },
  // Free memory above this at the end of the heap returns to the system.
  { variable: 'MALLOC_TRIM_THRESHOLD_', parameter: -1, value: 8 * 2 ** 20 },
] as const;

/**
 * Configures glibc's allocator. Its environment variables (MALLOC_*) are read only when a process starts; what the user has set there
 * stays in force. Without glibc this does nothing.
 */
export function tuneAllocator(host: HostAddon): void {
  for (const { variable, parameter, value } of ALLOCATOR_SETTINGS) {
    if (process.env[variable] === undefined) host.setAllocator(parameter, value);
  }
}

/** The functions of this package's addon src/engines/native/host.cc. */
export interface HostAddon {
  /** glibc's mallopt(parameter, value). @returns false if there is no glibc, or it refuses. */
  setAllocator(parameter: number, value: number): boolean;
  /**
   * Takes the pages of libraries, by a part of their path, out of the process's memory where nothing has been written to them. Loading
   * reads far more of a library than computing does. They come back from the file when they are read. Does nothing but on Linux.
   */
  dropLibraryPages(name: string): void;
  /** Holds back standard error until `releaseStandardError`. @returns false if that is impossible. */
  captureStandardError(): boolean;
  /** Restores standard error. @returns what was written meanwhile. */
  releaseStandardError(): string;
}

/** Lines that TensorFlow prints at every start, whatever its log level, because its log is not set up yet. */
const BANNER = [
  'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR',
  'oneDNN custom operations are on.',
];

/**
 * Does synchronous `work` without the banner that TensorFlow prints while it loads. Other lines are printed once `work` has ended.
 */
export function withoutBanner<T>(host: HostAddon, work: () => T): T {
  const captured = host.captureStandardError();
  try {
    return work();
  } finally {
    if (captured) {
      const lines = host.releaseStandardError().split('\n');
      const text = lines.filter((line) => !BANNER.some((part) => line.includes(part))).join('\n');
      if (text.trim() !== '') process.stderr.write(text);
    }
  }
}
