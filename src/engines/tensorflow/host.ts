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
