import test from 'ava';
import { OwnScreen, Redrawn, writeAbove } from '../../src/terminal/redraw.js';

/** A terminal that is high enough, with the cursor movements that these classes use. */
class Terminal {
  lines: string[] = [''];
  private row = 0;
  private column = 0;

  write(text: string): boolean {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is tested.
    for (const [token] of text.matchAll(/\x1b\[(\d+)A|\x1b\[J|\n|\r|[^\x1b\n\r]+/g)) {
      if (token === '\n') {
        this.row++;
        this.column = 0;
        this.lines[this.row] ??= '';
      } else if (token === '\r') this.column = 0;
      else if (token === '\x1b[J') this.lines = [...this.lines.slice(0, this.row), this.current.slice(0, this.column)];
      else if (token.startsWith('\x1b')) this.row -= Number.parseInt(token.slice(2), 10);
      else {
        this.lines[this.row] = this.current.slice(0, this.column) + token;
        this.column += token.length;
      }
    }
    return true;
  }

  private get current(): string {
    return this.lines[this.row]!;
  }
}

test('a text is drawn in place of the one before, also after the echo of Ctrl-C', (t) => {
  const terminal = new Terminal();
  const redrawn = new Redrawn(terminal);
  redrawn.draw('head\none\ntwo');
  terminal.write('^C');
  redrawn.draw('head\nthree');
  t.deepEqual(terminal.lines, ['head', 'three', '']);
});

test('a note stays above the text', (t) => {
  const terminal = new Terminal();
  const redrawn = new Redrawn(terminal);
  redrawn.draw('head\none');
  terminal.write('^C');
  writeAbove(() => terminal.write('\nInterrupted\n'));
  redrawn.draw('head\ntwo');
  t.deepEqual(terminal.lines, ['', 'Interrupted', 'head', 'two', '']);
  redrawn.keep();
  writeAbove(() => terminal.write('below\n'));
  t.deepEqual(terminal.lines, ['', 'Interrupted', 'head', 'two', 'below', '']);
});

test('an erased text is gone', (t) => {
  const terminal = new Terminal();
  const redrawn = new Redrawn(terminal);
  t.is(redrawn.erase(), '');
  redrawn.draw('head\none');
  t.is(redrawn.erase(), 'head\none');
  t.deepEqual(terminal.lines, ['']);
});

test('the second screen is left once, by the end or by the exit', (t) => {
  let written = '';
  const screen = new OwnScreen({
    write: (text: unknown) => {
      written += String(text);
      return true;
    },
  });
  const before = process.listenerCount('exit');
  screen.end();
  screen.draw('one');
  screen.draw('two');
  t.is(process.listenerCount('exit'), before + 1);
  screen.end();
  screen.end();
  t.is(written, '\x1b[?1049h\x1b[H\x1b[Jone\n\x1b[H\x1b[Jtwo\n\x1b[?1049l');
  t.is(process.listenerCount('exit'), before);
});
