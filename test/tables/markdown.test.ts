import test from 'ava';
import type { Piece, Section } from '../../src/tables/document.js';
import { writeMarkdown } from '../../src/tables/markdown.js';
import fc from '../helpers/properties.js';
import { markdownTables } from '../helpers/table-formats.js';

const words = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom(...'|\\[]()<>*_`~&#-+!1."  aé±†'), maxLength: 12 }),
);
const piece: fc.Arbitrary<Piece> = fc.oneof(
  words.map((text) => ({ text })),
  fc.tuple(words, words).map(([text, href]) => ({ text, href })),
  fc.tuple(words, words, words).map(([text, href, short]) => ({ text, href, short })),
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

const oneSpace = (shown: string) => shown.replaceAll(/\s+/g, ' ').trim();

test('whatever stands in the cells: as many cells are read back, with the same words, and each link is defined once', (t) => {
  fc.assert(
    fc.property(fc.array(section, { maxLength: 3 }), (sections) => {
      const written = writeMarkdown(sections);
      const labels = [...written.matchAll(/^\[([a-z]+\d+)\]: /gm)].map(([, label]) => label);
      t.is(new Set(labels).size, labels.length);
      const read = markdownTables(written);
      t.is(read.length, sections.length);
      for (const [i, { title, table }] of sections.entries()) {
        t.is(oneSpace(read[i]!.title), oneSpace(title));
        t.is(read[i]!.head.length, table.head.length);
        for (const [y, cells] of table.body.entries()) {
          const shown = cells.map((cell) => oneSpace(cell.map((one) => one.short ?? one.text).join('')));
          t.deepEqual(
            read[i]!.rows[y]!.map((cell) => oneSpace(cell.words)),
            shown,
          );
          t.deepEqual(
            read[i]!.rows[y]!.map(({ links }) => links.length),
            cells.map((cell) => cell.filter(({ href }) => href !== undefined).length),
          );
        }
      }
    }),
    { numRuns: 500 },
  );
});

const link = (text: string, href: string, short?: string): Piece =>
  short === undefined ? { text, href } : { text, href, short };

test('links stand by reference, with their targets once below the last table', (t) => {
  const table = (cells: Piece[][]) => ({ head: cells.map((_, i) => `c${i}`), body: [cells] });
  const sections: Section[] = [
    {
      title: 'A | B',
      table: table([
        [{ text: '72.25 / ' }, link('72.61', 'results/full/a b.json'), { text: ' (+0.36, reproduced)' }],
        [link('a_row', 'experiments/one.yaml', 'config')],
        [link('model', 'https://host/a.pth'), { text: ', ' }, link('log', 'https://host/a.json')],
      ]),
      notes: [[{ text: '- no list' }], [{ text: '† given' }]],
    },
    {
      title: 'C',
      table: table([
        [link('0.51', 'results/full/a b.json'), { text: ', ' }, link('9.00', 'results/full/b.json')],
        [link('b_row', 'experiments/one.yaml', 'config')],
        [link('model', 'https://host/b.pth')],
      ]),
      notes: [],
    },
  ];
  t.is(
    writeMarkdown(sections),
    `### A \\| B

| c0 | c1 | c2 |
| --- | --- | --- |
| 72.25 / [72.61][r1] (+0.36, reproduced) | [config][c1] | [model][m1], [log][l1] |

- \\- no list
- † given

### C

| c0 | c1 | c2 |
| --- | --- | --- |
| [0.51][r1], [9.00][r2] | [config][c2] | [model][m2] |

[r1]: results/full/a%20b.json
[c1]: experiments/one.yaml "a_row"
[m1]: https://host/a.pth
[l1]: https://host/a.json
[r2]: results/full/b.json
[c2]: experiments/one.yaml "b_row"
[m2]: https://host/b.pth`,
  );
  t.regex(writeMarkdown(sections, 'smoke'), /\[72\.61\]\[smoke1\].*\[0\.51\]\[smoke1\]/s);
});
