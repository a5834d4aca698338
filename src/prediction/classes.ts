/** A class that a label map holds. */
export interface PredictedClass {
  readonly id: number;
  readonly name: string;
  /** Fraction of the image's pixels. */
  readonly share: number;
}

/** The classes that occur in a label map, most frequent first. */
export function presentClasses(labels: Uint8Array, classes: readonly string[]): PredictedClass[] {
  const counts = new Uint32Array(256);
  for (const id of labels) counts[id]!++;
  return classes
    .map((name, id) => ({ id, name, share: counts[id]! / labels.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || a.id - b.id);
}

/** In percent with one decimal: "12.3 %", "< 0.1 %". */
export function formatPixelShare(share: number): string {
  return share < 0.0005 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`;
}
