import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import type { Piece, Section } from '../../src/tables/document.js';
import { parseMarkdown, writeMarkdown } from '../../src/tables/markdown.js';
import fc from '../helpers/properties.js';

const words = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom(...'|\\[]()<>*_`~&#-+!1. aé±†'), maxLength: 12 }),
);
const piece: fc.Arbitrary<Piece> = fc.oneof(
  words.map((text) => ({ text })),
  fc.tuple(words, words).map(([text, href]) => ({ text, href })),
);
const text = fc.array(piece, { maxLength: 4 });
const section: fc.Arbitrary<Section> = fc.integer({ min: 1, max: 4 }).chain((columns) =>
  fc.record({
    title: words,
    table: fc.record({
      head: fc.array(words, { minLength: columns, maxLength: columns }),
      body: fc.array(fc.array(text, { minLength: columns, maxLength: columns }), { maxLength: 4 }),
    }),
    notes: fc.array(text, { maxLength: 3 }),
  }),
);

test('markdown → parsed → markdown is the same, whatever stands in the cells', (t) => {
  fc.assert(
    fc.property(fc.array(section, { maxLength: 3 }), (sections) => {
      const written = writeMarkdown(sections);
      t.is(writeMarkdown(parseMarkdown(written, 'file.md')), written);
    }),
    { numRuns: 500 },
  );
});

test('what a cell says is what is read back, links too', (t) => {
  const sections: Section[] = [
    {
      title: 'A | B',
      table: {
        head: ['x', 'y'],
        body: [
          [
            [{ text: '72.25 / ' }, { text: '72.61', href: 'results/full/a_b.json' }, { text: ' (+0.36, reproduced)' }],
            [{ text: 'a|b\\|*c* fcn_r50_x _d_' }],
          ],
        ],
      },
      notes: [[{ text: '- no list' }], [{ text: '† given' }]],
    },
  ];
  t.deepEqual(parseMarkdown(writeMarkdown(sections), 'file.md'), sections);
});

for (const [name, markdown, message] of [
  ['a table without a heading', '| a |\n| --- |', /^file\.md:7: expected a heading/],
  ['a row with too few cells', '### T\n| a | b |\n| --- | --- |\n| 1 |', /^file\.md:10: expected 2 cells, got 1/],
  ['a row without an end', '### T\n| a |\n| --- |\n| 1', /^file\.md:10: expected a line of a table/],
  ['a link without an address', '### T\n| a |\n| --- |\n| [1] |', /^file\.md:10: expected text or a link/],
  ['other text', '### T\n| a |\n| --- |\nsomething', /^file\.md:10: expected a heading, a table or a note/],
] as const) {
  test(`${name} is named with its line`, (t) => {
    t.throws(() => parseMarkdown(markdown, 'file.md', 7), { instanceOf: UserError, message });
  });
}
