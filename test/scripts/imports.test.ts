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
      for (const each of names!.split(',').map((one) =>
        one
          .trim()
          .split(/ as |:/)[0]!
          .trim(),
      )) {
        if (each !== '') t.true(exported.includes(each), `${module} has no ${each}`);
      }
    }
  });
}
