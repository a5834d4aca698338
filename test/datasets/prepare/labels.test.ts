import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { packRuns, runLengths } from '../../../src/datasets/generate/raw/labels.js';
import { JsonArrayError, JsonArrays } from '../../../src/datasets/prepare/json-arrays.js';
import {
  fromContextMap,
  fromContextRegions,
  fromLabelIds,
  fromPolygons,
  LabelError,
  paintMask,
  RunLengthError,
} from '../../../src/datasets/prepare/labels.js';
import { type Corner, fillPolygon } from '../../../src/datasets/prepare/polygon.js';
import { packageRoot } from '../../../src/support/package.js';
import fc from '../../helpers/properties.js';

interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly points: readonly Corner[];
  /** The pixels of each row as bits, in hexadecimal. */
  readonly rows: string;
}

test('polygons are filled as Pillow fills them, pixel for pixel', async (t) => {
  // Drawn with Pillow 12.3.0's ImageDraw.polygon(points, fill=1): convex, concave and crossing edges, thin and level ones, points
  // given twice, fractions, closed polygons, parts and all of it outside the image, and coordinates up to half a billion. Half
  // of the later ones are those that Pillow 9.5 draws otherwise.
  const file = path.join(packageRoot(), 'test', 'data', 'prepare', 'polygons.json');
  const cases = JSON.parse(await readFile(file, 'utf8')) as Drawn[];
  t.is(cases.length, 139);
  for (const { width, height, points, rows } of cases) {
    const image = { width, height, data: new Uint8Array(width * height) };
    fillPolygon(image, points, 1);
    const drawn = Array.from({ length: height }, (_, y) =>
      Number.parseInt(image.data.subarray(y * width, (y + 1) * width).join(''), 2).toString(16),
    );
    t.is(drawn.join(' '), rows, JSON.stringify(points));
  }
});

test('a polygon of no area is its outline, and one outside the image is nothing', (t) => {
  const image = { width: 4, height: 2, data: new Uint8Array(8) };
  fillPolygon(
    image,
    [
      [1, 1],
      [1, 1],
    ],
    5,
  );
  fillPolygon(
    image,
    [
      [-9, -9],
      [-3, -9],
      [-3, -2],
    ],
    7,
  );
  t.deepEqual([...image.data], [0, 0, 0, 0, 0, 5, 0, 0]);
});

test('label ids of Cityscapes become training ids', (t) => {
  const ids = Uint8Array.from({ length: 34 }, (_, id) => id);
  const { data } = fromLabelIds({ height: 1, width: 34, data: ids });
  const kept = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33];
  t.deepEqual(
    [...data],
    Array.from(ids, (id) => (kept.includes(id) ? kept.indexOf(id) : 255)),
  );
  const unknown = { height: 2, width: 2, data: Uint8Array.of(7, 7, 7, 34) };
  t.throws(() => fromLabelIds(unknown), { instanceOf: LabelError, message: /label id 34 at row 1, column 1/ });
});

const square = (left: number, top: number, right: number, bottom: number): Corner[] => [
  [left, top],
  [right, top],
  [right, bottom],
  [left, bottom],
];

const annotation = (objects: object[]) => JSON.stringify({ imgHeight: 3, imgWidth: 4, objects });

test('polygons of Cityscapes: later over earlier, groups as their class, deleted and undrawn ones left out', (t) => {
  const { height, width, data } = fromPolygons(
    annotation([
      { label: 'road', polygon: square(0, 0, 3, 2) },
      { label: 'cargroup', polygon: square(1, 0, 2, 1) },
      { label: 'license plate', polygon: square(1, 0, 1, 0) },
      { label: 'polegroup', polygon: square(3, 2, 3, 2) },
      { label: 'sky', polygon: square(0, 0, 3, 2), deleted: 1 },
      { label: 'person', polygon: square(0, 2, 0, 9) },
    ]),
  );
  t.deepEqual([height, width], [3, 4]);
  t.deepEqual([...data], [0, 13, 13, 0, 0, 13, 13, 0, 11, 0, 0, 255]);
  t.deepEqual([...fromPolygons(annotation([])).data], new Array(12).fill(255));
});

test('a polygon that Pillow does not draw is refused by name, unless its object is not drawn at all', (t) => {
  const refused: [object, RegExp][] = [
    [{ label: 'sky', polygon: [[2, 1]] }, /^objects\[1\] \(sky\): the polygon has 1 point, expected at least 2$/],
    [{ label: 'cargroup', polygon: [] }, /^objects\[1\] \(cargroup\): the polygon has 0 points/],
    [
      { label: 'car', polygon: square(0, 0, 2 ** 31, 1) },
      /^objects\[1\] \(car\): the coordinate 2147483648 is not a pixel$/,
    ],
  ];
  const road = { label: 'road', polygon: square(0, 0, 3, 2) };
  for (const [object, message] of refused) {
    t.throws(() => fromPolygons(annotation([road, object])), { instanceOf: LabelError, message });
    t.deepEqual([...fromPolygons(annotation([road, { ...object, deleted: 1 }])).data], new Array(12).fill(0));
    t.deepEqual(
      [...fromPolygons(annotation([road, { ...object, label: 'license plate' }])).data],
      new Array(12).fill(0),
    );
  }
});

test('text that is not an annotation is refused, and the error says what is wrong', (t) => {
  const cases: [string, RegExp][] = [
    ['{"imgHeight": 3', /not JSON/],
    ['[]', /imgHeight and imgWidth/],
    ['{"imgHeight": 3, "imgWidth": 1e9, "objects": []}', /not the size/],
    ['{"imgHeight": 3, "imgWidth": 4}', /no list of objects/],
    [annotation([{ polygon: [] }]), /objects\[0\] has no label/],
    [annotation([{ label: 'road', polygon: [[1, null]] }]), /objects\[0\] \(road\): .*not a list of points/],
    [annotation([{ label: 'raod', polygon: [] }]), /"raod" is not in Cityscapes/],
  ];
  for (const [text, message] of cases) t.throws(() => fromPolygons(text), { instanceOf: LabelError, message });
});

test('the 459 classes of Pascal Context become 59 and background', (t) => {
  const map = (...labels: number[]) => ({ height: 1, width: labels.length, data: Uint16Array.from(labels) });
  // aeroplane, bag, water, window and wood; accordion is one of the 400 that become background.
  t.deepEqual([...fromContextMap(map(0, 2, 9, 445, 454, 458, 1, 459)).data], [0, 1, 2, 57, 58, 59, 0, 0]);
  t.throws(() => fromContextMap(map(0, 460)), { instanceOf: LabelError, message: /label 460 at row 0, column 1/ });
});

test('regions of Pascal Context are painted in their order', (t) => {
  const size = { height: 2, width: 3 };
  const region = (category: number, pixels: number[]) => ({
    category,
    mask: { size: [2, 3] as const, counts: packRuns(runLengths({ ...size, data: Uint8Array.from(pixels) })) },
  });
  const { data } = fromContextRegions(size, [region(2, [1, 1, 1, 0, 0, 0]), region(458, [0, 0, 1, 0, 0, 1])]);
  t.deepEqual([...data], [1, 1, 59, 0, 0, 59]);
  t.throws(() => fromContextRegions(size, [region(1, [1, 1, 1, 1, 1, 1])]), {
    message: /category 1 is not one of the 59/,
  });
  const torn = { category: 2, mask: { size: [2, 3] as const, counts: [1, 2] } };
  t.throws(() => fromContextRegions(size, [torn]), {
    instanceOf: LabelError,
    message: /region 0: .* 3 pixels, expected 6/,
  });
});

const masks = fc
  .record({ height: fc.integer({ min: 1, max: 40 }), width: fc.integer({ min: 1, max: 40 }) })
  .chain(({ height, width }) =>
    fc
      .uint8Array({ min: 0, max: 1, minLength: height * width, maxLength: height * width })
      .map((data) => ({ height, width, data })),
  );

test('run-length masks are read as they were written, packed or not', (t) => {
  fc.assert(
    fc.property(masks, fc.boolean(), (mask, packed) => {
      const runs = runLengths(mask);
      const image = { ...mask, data: new Uint8Array(mask.data.length) };
      paintMask(image, { size: [mask.height, mask.width], counts: packed ? packRuns(runs) : runs }, 1);
      t.deepEqual(image.data, mask.data);
    }),
  );
  // 900 pixels of 0, 100 of 1, 1000 of 0, packed by hand: 900 = 28·32 + 4, 100 = 3·32 + 4, 1000 = 31·32 + 8.
  const image = { height: 50, width: 40, data: new Uint8Array(2000) };
  paintMask(image, { size: [50, 40], counts: 'Tl0T3Xo0' }, 3);
  t.is(image.data.filter((value) => value === 3).length, 100);
  t.deepEqual([image.data[17], image.data[18], image.data[19], image.data[20]], [0, 3, 3, 0]);
});

test('damaged run lengths are refused', (t) => {
  const image = { height: 2, width: 2, data: new Uint8Array(4) };
  const painting =
    (counts: string | number[], size: [number, number] = [2, 2]) =>
    () =>
      paintMask(image, { size, counts }, 1);
  for (const counts of [[5], [1, -1, 4], [0.5], [2], 'o', 'oooooooooooo0', '~']) {
    t.throws(painting(counts), { instanceOf: RunLengthError });
  }
  t.throws(painting([4], [4, 1]), { message: 'a mask of 4x1 on an image of 2x2' });
  fc.assert(
    fc.property(fc.string(), (counts) => {
      try {
        painting(counts)();
      } catch (error) {
        if (!(error instanceof RunLengthError)) throw error;
      }
    }),
  );
});

/** The objects found in a text that is read in pieces of this length. */
function collect(text: string, piece: number): [string, unknown][] {
  const found: [string, unknown][] = [];
  const arrays = new JsonArrays((key, value) => found.push([key, value]));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += piece) arrays.push(bytes.subarray(at, at + piece));
  arrays.end();
  return found;
}

test('the objects in the arrays of a large JSON file are found, whatever the pieces in which it is read', (t) => {
  const objects = fc.array(
    fc.record({ id: fc.nat(), text: fc.string({ unit: 'grapheme' }), list: fc.array(fc.nat()) }),
  );
  const file = fc.record({ 'images "1"': objects, 'a\\b': objects, other: fc.record({ in: objects }), n: fc.nat() });
  fc.assert(
    fc.property(file, fc.integer({ min: 1, max: 50 }), fc.constantFrom(undefined, 1), (value, piece, indent) => {
      const found = collect(JSON.stringify(value, null, indent), piece);
      const own = found.filter(([key]) => key !== 'other').map(([, object]) => object);
      t.deepEqual(own, [...value['images "1"'], ...value['a\\b']]);
    }),
  );
  t.deepEqual(collect('{"images": [{"a": "}\\""}], "x": [1, "y:", {"b": {"c": []}}]}', 1), [
    ['images', { a: '}"' }],
    ['x', { b: { c: [] } }],
  ]);
});

test('a file that ends early or is not JSON is refused', (t) => {
  for (const text of ['{"images": [{"a": 1}', '{"images": [', '', '<html></html>', '{"a": [{"b": x}]}', '{"a": 1}}']) {
    t.throws(() => collect(text, 7), { instanceOf: JsonArrayError }, text);
  }
});
