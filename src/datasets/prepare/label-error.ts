/** Labels that cannot be converted. The message says what and where within the file; who catches it knows the file. */
export class LabelError extends Error {
  override readonly name: string = 'LabelError';
}

/** Labels that are whole, but hold what the data set does not have: the same file fetched again would hold it too. */
export class UnknownLabelError extends LabelError {
  override readonly name = 'UnknownLabelError';
}
