import test from 'ava';
import { describedDataset } from '../../src/data/description.js';
import { CLASS_ORDERS, classLines, sortClasses } from '../../src/evaluation/class-figures.js';

/** Means do not follow from the classes here: only what is printed is looked at. */
const MEANS = { mIoU: 0.5, mAcc: 0.6, aAcc: 0.7 };

const figuresOf = (names: readonly string[]) =>
  names.map((name, i) => ({ name, iou: ((i * 37) % 100) / 100, accuracy: 0.99 - ((i * 13) % 90) / 100 }));

const linesOf = (names: readonly string[], width = 80) =>
  classLines('Single scale', { ...MEANS, perClass: figuresOf(names) }, { order: 'data-set', width });

test('19, 59, 150 and 11 classes fit 80 columns, each class once, in few lines', (t) => {
  for (const [id, lines] of [
    ['cityscapes', 7],
    ['pascal-context-59', 20],
    ['ade20k', 75],
    ['camvid', 4],
  ] as const) {
    const { classes } = describedDataset(id)!;
    const shown = linesOf(classes);
    for (const line of shown) t.true(line.length <= 80, line);
    // A title and the heads of the columns come first.
    t.is(shown.length, 2 + lines, shown.join('\n'));
    const text = shown.slice(2).join(' ');
    const figures = [...text.matchAll(/\d+\.\d\d/g)].map(([found]) => Number(found));
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    const expected = figuresOf(classes).flatMap(({ iou, accuracy }) => [iou * 100, accuracy * 100]);
    t.is(figures.length, expected.length);
    t.is(Math.round(sum(figures)), Math.round(sum(expected)));
    for (const name of classes) t.true(text.includes(name.trim()), name);
  }
});

test('classes are read from top to bottom; a long name is cut only where a line is too short for it', (t) => {
  t.deepEqual(linesOf(['a', 'b', 'c', 'd', 'e']), [
    'Single scale, each class in %: mIoU 50.00, mAcc 60.00, aAcc 70.00',
    'Class   IoU   Acc   Class   IoU   Acc',
    'a      0.00 99.00   d     11.00 60.00',
    'b     37.00 86.00   e     48.00 47.00',
    'c     74.00 73.00',
  ]);
  const long = 'a'.repeat(90);
  const [, , first] = linesOf([long]);
  t.is(first!.length, 80);
  t.regex(first!, /^a+… 0\.00 99\.00$/);
  t.true(linesOf(['a\u001b[31mb']).join('').includes('a\\u001b[31mb'));
});

test('classes that do not occur are marked, and the marks are explained', (t) => {
  const perClass = [
    { name: 'road', iou: 0.5, accuracy: 0.75 },
    { name: 'coin', iou: 0, accuracy: null },
    { name: 'ice', iou: null, accuracy: null },
  ];
  const evaluation = { ...MEANS, perClass };
  const shown = classLines('Multi-scale + flip', evaluation, { order: 'iou', width: 80 });
  t.deepEqual(shown.slice(1), [
    'Class   IoU   Acc',
    'road  50.00 75.00',
    'coin   0.00     –',
    'ice       –     –',
    '–: the class occurs in no label; without IoU, in no prediction either.',
    'mIoU over 2 of 3 classes: coin and ice occur in no label; 1 of them is predicted',
    '  and counts as 0.',
  ]);
  const labelled = { ...MEANS, perClass: perClass.slice(0, 1) };
  t.is(classLines('Single scale', labelled, { order: 'iou', width: 80 }).length, 3);
});

test('classes are in the order of the data set, by IoU or by name', (t) => {
  const classes = [
    { name: 'b', iou: null },
    { name: 'c', iou: 0.1 },
    { name: 'a', iou: 0.9 },
    { name: 'd', iou: 0 },
  ];
  const names = CLASS_ORDERS.map((order) => [
    order,
    sortClasses(classes, order)
      .map(({ name }) => name)
      .join(''),
  ]);
  t.deepEqual(Object.fromEntries(names), { 'data-set': 'bcad', iou: 'acdb', name: 'abcd' });
});
