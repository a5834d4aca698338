/** Labels that cannot be converted. The message says what and where within the file; who catches it knows the file. */
export class LabelError extends Error {
  override readonly name = 'LabelError';
}
