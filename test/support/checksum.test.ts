import test from 'ava';
import { crc32 } from '../../src/support/checksums.js';
import fc from '../helpers/properties.js';

/** The definition, bit by bit (ISO 3309, reflected). */
function bitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

test('the check value of the standard', (t) => {
  t.is(crc32(Buffer.from('123456789')), 0xcbf43926);
  t.is(crc32(new Uint8Array()), 0);
});

test('bytes of any length, as by the definition', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => crc32(bytes) === bitwise(bytes)));
  t.pass();
});
