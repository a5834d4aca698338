import path from 'node:path';
import { listFiles } from '../../data/files.js';
import { listNames } from '../../support/format.js';

/** Endings of images that a data set may hold, in lower case. */
const IMAGE_EXTENSIONS = ['.jpg', '.jpeg', '.png', '.bmp'];
const LABEL_EXTENSION = '.png';

/** Most images whose names are compared with those of all labels. */
const MOST_COMPARED = 50;

/** Images and labels whose names end alike. */
export interface PairGroup {
  /** An image is `<name><imageSuffix>`, its label `<name><labelSuffix>`. */
  readonly imageSuffix: string;
  readonly labelSuffix: string;
  /** Paths below the folders without the suffix, sorted. */
  readonly names: readonly string[];
}

/** What two folders hold, by the names of their files, relative to the folders. */
export interface FoundPairs {
  readonly groups: readonly PairGroup[];
  readonly images: readonly string[];
  readonly labels: readonly string[];
  readonly imagesWithoutLabel: readonly string[];
  readonly labelsWithoutImage: readonly string[];
}

/** Files of a folder without those of another folder inside it. */
async function filesOf(folder: string, other: string): Promise<string[]> {
  const inner = path.relative(folder, other).replaceAll(path.sep, '/');
  const files = await listFiles(folder);
  return inner === '' || inner.startsWith('..') ? files : files.filter((file) => !file.startsWith(`${inner}/`));
}

const extensionOf = (file: string) => path.posix.extname(file);
const stemOf = (file: string) => file.slice(0, file.length - extensionOf(file).length);

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return i;
  return most;
}

/** What follows the part of their names in which an image and a label are equal, before the extensions: "" and "_mask". */
interface Endings {
  readonly image: string;
  readonly label: string;
}

/** What follows the first `shared` characters. A separator belongs to it: "_img" and "_mask" of "a_img" and "a_mask". */
function endingsFrom(image: string, label: string, shared: number): Endings {
  const isSeparated = shared > 1 && /[_. -]/.test(image[shared - 1]!) && Math.max(image.length, label.length) > shared;
  const start = isSeparated ? shared - 1 : shared;
  return { image: image.slice(start), label: label.slice(start) };
}

/** The endings with which an image and a label share most of their names. None may reach into another folder. */
function likelyEndings(image: string, labels: readonly string[]): Endings[] {
  const stem = stemOf(image);
  let longest = 1;
  let found: Endings[] = [];
  for (const other of labels) {
    const otherStem = stemOf(other);
    const shared = sharedLength(stem, otherStem);
    const endings = endingsFrom(stem, otherStem, shared);
    if (shared < longest || endings.image.includes('/') || endings.label.includes('/')) continue;
    if (shared > longest) found = [];
    longest = shared;
    found.push(endings);
  }
  return found;
}

/** The files of two folders. */
interface Files {
  readonly images: readonly string[];
  readonly labels: readonly string[];
  /** Whether the folders are one and the same. */
  readonly areTogether: boolean;
}

/** The pairs that these endings make, a group for each extension. */
function groupsOf({ image, label }: Endings, { images, labels, areTogether }: Files): PairGroup[] {
  const known = new Set(labels);
  const groups: PairGroup[] = [];
  for (const extension of new Set(images.map(extensionOf))) {
    for (const labelExtension of new Set(labels.map(extensionOf))) {
      const [imageSuffix, labelSuffix] = [image + extension, label + labelExtension];
      if (areTogether && imageSuffix === labelSuffix) continue;
      const names = images
        .filter((file) => file.endsWith(imageSuffix) && !(areTogether && isOther(file, labelSuffix, imageSuffix)))
        .map((file) => file.slice(0, file.length - imageSuffix.length))
        .filter((name) => name !== '' && !name.endsWith('/') && known.has(name + labelSuffix));
      if (names.length > 0) groups.push({ imageSuffix, labelSuffix, names });
    }
  }
  return groups;
}

/** Whether a file in the folder of both is a label: of "a.png" and "a_mask.png", the latter. */
function isOther(file: string, labelSuffix: string, imageSuffix: string): boolean {
  return labelSuffix.endsWith(imageSuffix) && file.endsWith(labelSuffix);
}

/** The groups of the endings that make most pairs; of equal ones, those with the shortest ends of images and labels. */
function bestGroups(files: Files): PairGroup[] {
  const { images, labels } = files;
  const step = Math.max(1, Math.floor(images.length / MOST_COMPARED));
  const candidates = new Map<string, Endings>();
  for (const image of images.filter((_, i) => i % step === 0)) {
    const others = labels.filter((label) => !(files.areTogether && label === image));
    for (const endings of likelyEndings(image, others)) candidates.set(JSON.stringify(endings), endings);
  }
  const scored = [...candidates.values()].map((endings) => {
    const groups = groupsOf(endings, files);
    return { endings, groups, pairs: groups.reduce((sum, { names }) => sum + names.length, 0) };
  });
  const lengths = ({ endings: { image, label } }: { readonly endings: Endings }) => 2 * image.length + label.length;
  scored.sort((a, b) => b.pairs - a.pairs || lengths(a) - lengths(b));
  return scored[0]?.groups ?? [];
}

/** Files that have one and the same partner: a sentence for each partner. */
function shared(
  groups: readonly PairGroup[],
  namesOf: (group: PairGroup, name: string) => { readonly file: string; readonly partner: string },
  say: (files: readonly string[], partner: string) => string,
): string[] {
  const filesOfPartner = new Map<string, Set<string>>();
  for (const group of groups) {
    for (const name of group.names) {
      const { file, partner } = namesOf(group, name);
      filesOfPartner.set(partner, (filesOfPartner.get(partner) ?? new Set()).add(file));
    }
  }
  return [...filesOfPartner]
    .filter(([, files]) => files.size > 1)
    .map(([partner, files]) => say([...files].sort(), partner));
}

/**
 * What makes pairs ambiguous, a sentence each: images of one label, as "a.jpg" and "a.png" beside the label "a.png", which could come
 * into two splits; and labels of one image.
 */
export function ambiguities({ groups }: FoundPairs): string[] {
  const image = ({ imageSuffix }: PairGroup, name: string) => name + imageSuffix;
  const label = ({ labelSuffix }: PairGroup, name: string) => name + labelSuffix;
  return [
    ...shared(
      groups,
      (group, name) => ({ file: image(group, name), partner: label(group, name) }),
      (images, label) => `The images ${listNames(images)} have one label, ${label}: keep one of them, or rename.`,
    ),
    ...shared(
      groups,
      (group, name) => ({ file: label(group, name), partner: image(group, name) }),
      (labels, image) => `The image ${image} has several labels, ${listNames(labels)}: keep one of them.`,
    ),
  ];
}

/**
 * Finds which label belongs to which image by their names: "a.jpg" and "a.png", "a.png" and "a_mask.png", "a_img.jpg" and
 * "a_label.png". Both may lie in one folder.
 * @throws UserError if a folder cannot be read.
 */
export async function findPairs(imageFolder: string, labelFolder: string): Promise<FoundPairs> {
  const hasExtension = (file: string, extensions: readonly string[]) =>
    extensions.includes(extensionOf(file).toLowerCase());
  const inImages = await filesOf(imageFolder, labelFolder);
  const inLabels = await filesOf(labelFolder, imageFolder);
  const images = inImages.filter((file) => hasExtension(file, IMAGE_EXTENSIONS));
  const labels = inLabels.filter((file) => hasExtension(file, [LABEL_EXTENSION]));
  const areTogether = path.relative(imageFolder, labelFolder) === '';
  const groups = bestGroups({ images, labels, areTogether });
  const withLabel = new Set(groups.flatMap(({ imageSuffix, names }) => names.map((name) => name + imageSuffix)));
  const withImage = new Set(groups.flatMap(({ labelSuffix, names }) => names.map((name) => name + labelSuffix)));
  const alone = (files: readonly string[], paired: ReadonlySet<string>) => files.filter((file) => !paired.has(file));
  return {
    groups,
    images,
    labels,
    imagesWithoutLabel: alone(areTogether ? alone(images, withImage) : images, withLabel),
    labelsWithoutImage: areTogether ? [] : alone(labels, withImage),
  };
}
