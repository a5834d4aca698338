/** What says that two evaluations are of the same weights: the file's SHA-256, and the key where one was asked for. */
export function weightsIdentity(sha256: string, key: string | undefined): string {
  return key === undefined ? sha256 : `${sha256} ${key}`;
}
