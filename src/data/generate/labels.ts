import { IGNORE_INDEX } from '../batch.js';

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

/** Classes of CamVid, by label id, of what is painted; the others are void there. */
const CAMVID_CLASSES: Readonly<Record<number, number>> = {
  [LabelId.sky]: 0,
  [LabelId.building]: 1,
  [LabelId.wall]: 1,
  [LabelId.pole]: 2,
  [LabelId.road]: 3,
  [LabelId.sidewalk]: 4,
  [LabelId.vegetation]: 5,
  [LabelId.trafficSign]: 6,
  [LabelId.trafficLight]: 6,
  [LabelId.fence]: 7,
  [LabelId.car]: 8,
  [LabelId.truck]: 8,
  [LabelId.bus]: 8,
  [LabelId.person]: 9,
  [LabelId.rider]: 10,
  [LabelId.motorcycle]: 10,
  [LabelId.bicycle]: 10,
};

/** Training ids of label ids, for the classes of a data set of streets; 255 for those without one. */
export function toTrainingIds(ids: Uint8Array, dataset: 'cityscapes' | 'camvid' = 'cityscapes'): Uint8Array {
  const table = new Uint8Array(256).fill(IGNORE_INDEX);
  if (dataset === 'camvid')
    for (const [id, trainingId] of Object.entries(CAMVID_CLASSES)) table[Number(id)] = trainingId;
  else for (const [trainingId, id] of TRAINING_CLASSES.entries()) table[id] = trainingId;
  return ids.map((id) => table[id]!);
}
