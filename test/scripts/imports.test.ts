import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';

const FOLDER = new URL('../../../scripts/', import.meta.url);
const IMPORTED = /\{([^{}]+)\}\s*(?:from|= await import\()\s*'(\.\.\/dist\/[^']+)'/g;

// They are not compiled, and most of them run for too long for a test.
for (const name of readdirSync(FOLDER).filter((file) => file.endsWith('.mjs'))) {
  const imports = [...readFileSync(new URL(name, FOLDER), 'utf8').matchAll(IMPORTED)];
  if (imports.length === 0) continue;
  test(`scripts/${name} imports what the built package has`, async (t) => {
    for (const [, names, module] of imports) {
      const exported = Object.keys(await import(new URL(module!, FOLDER).href));
      // The first word of "exported as local" and of "exported: local"; none after a last comma.
      const wanted = names!.split(',').flatMap((one) => /\w+/.exec(one) ?? []);
      t.deepEqual(
        wanted.filter((each) => !exported.includes(each)),
        [],
        module,
      );
    }
  });
}
