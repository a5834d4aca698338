/** In what a data set differs from the one that the published figures are of. */
export interface DataDeviation {
  /** `labels`: the download that they were made of; `images.SPLIT`: the number of images of a split. */
  readonly path: string;
  readonly published: string | number;
  readonly value: string | number;
}

const OF_SPLIT = /^images\.(.+)$/;

/** A deviation in words: "labels of trainval.tar.gz instead of trainval_merged.json". */
export function formatDeviation({ path, published, value }: DataDeviation): string {
  const split = OF_SPLIT.exec(path)?.[1];
  if (split === undefined) return `${path} of ${value} instead of ${published}`;
  return `${value} ${split} image${value === 1 ? '' : 's'} instead of ${published}`;
}

/** How the numbers of images of splits differ from others; splits of which nothing says how many they have are left out. */
export function countDeviations(
  images: Readonly<Record<string, number>>,
  published: Readonly<Record<string, number>>,
): DataDeviation[] {
  return Object.entries(images).flatMap(([split, value]) => {
    const should = published[split];
    return should === undefined || should === value ? [] : [{ path: `images.${split}`, published: should, value }];
  });
}

/** What is known of a data set in a folder. */
export interface KnownData {
  /** Images of the splits that are read: what is not read makes no difference. */
  readonly images: Readonly<Record<string, number>>;
  /** Published numbers of images; empty where nothing says so. */
  readonly published: Readonly<Record<string, number>>;
  /** What its preparation recorded; of a split's number of images, what is there now counts. */
  readonly prepared: readonly DataDeviation[];
  /** It was painted, and has as many images as were asked for. */
  readonly synthetic: boolean;
}

/** In what a data set differs from the one that the published figures are of. */
export function dataDeviations({ images, published, prepared, synthetic }: KnownData): DataDeviation[] {
  return [
    ...prepared.filter(({ path }) => !OF_SPLIT.test(path)),
    ...(synthetic ? [] : countDeviations(images, published)),
  ];
}
