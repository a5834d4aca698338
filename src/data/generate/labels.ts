/**
 * Cityscapes' label ids of what is painted. The first two are void; the others have a training id, their place in
 * `TRAINING_CLASSES`.
 */
export const LabelId = {
  egoVehicle: 1,
  static: 4,
  road: 7,
  sidewalk: 8,
  building: 11,
  wall: 12,
  fence: 13,
  pole: 17,
  trafficLight: 19,
  trafficSign: 20,
  vegetation: 21,
  terrain: 22,
  sky: 23,
  person: 24,
  rider: 25,
  car: 26,
  truck: 27,
  bus: 28,
  train: 31,
  motorcycle: 32,
  bicycle: 33,
} as const;

/** Label ids in the order of the training ids 0 … 18. */
export const TRAINING_CLASSES: readonly number[] = [
  7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33,
];

/** Training ids of label ids; 255 for those without one. */
export function toTrainingIds(ids: Uint8Array): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (const [trainingId, id] of TRAINING_CLASSES.entries()) table[id] = trainingId;
  return ids.map((id) => table[id]!);
}
