import { UserError } from '../support/errors.js';

/** What this machine lacks for the native engine. */
export type MissingPart = 'platform' | 'python' | 'pip' | 'compiler' | 'network';

/** The native engine cannot be had on this machine as it is; the wasm engine can. */
export class EngineUnavailableError extends UserError {
  constructor(
    readonly missing: MissingPart,
    message: string,
    next = 'The wasm engine needs nothing: --engine wasm.',
    options?: ErrorOptions,
  ) {
    super(message, next, options);
  }
}
