import { ExitCode, InterruptedError, UserError } from '../../support/errors.js';
import { formatFileSize } from '../../support/format.js';

/** The GPU's memory is full. */
export class GpuMemoryError extends UserError {
  override readonly name = 'GpuMemoryError';

  constructor(bytes: number, heldBytes: number, adapter: string) {
    super(
      `${adapter} is out of memory: ${formatFileSize(bytes)} more were needed, beside ${formatFileSize(heldBytes)} that are held.`,
      'Use smaller images, crops or batches, or end other programs that use this GPU.',
    );
  }
}

/** A tensor that a kernel of this adapter cannot take as a whole. Beyond the limit, values would silently be lost. */
export class TensorTooLargeError extends UserError {
  override readonly name = 'TensorTooLargeError';

  constructor(shape: readonly number[], bytes: number, limit: number, adapter: string) {
    super(
      `A tensor of shape [${shape.join(', ')}] takes ${formatFileSize(bytes)}, but ${adapter} takes at most ${formatFileSize(limit)} as one.`,
      'Use smaller images, crops or batches, or another engine: --engine tensorflow or --engine wasm.',
    );
  }
}

/** The device has stopped: the driver was reset or updated, the GPU was removed, or a kernel ran too long for the system. */
export class DeviceLostError extends InterruptedError {
  constructor(adapter: string, reason: string) {
    super(
      `${adapter} was lost (${reason}).`,
      ExitCode.tryAgain,
      'Run the same command again: it resumes from what was saved. If this repeats, look at the messages of the driver.',
    );
  }
}
