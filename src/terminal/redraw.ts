/** Texts that are on a terminal now. */
const drawn = new Set<Redrawn>();

/** Writes lines to a terminal while texts may be drawn on it: above them, where they stay. */
export function writeAbove(write: () => void): void {
  const texts = [...drawn].map((redrawn) => ({ redrawn, text: redrawn.erase() }));
  write();
  for (const { redrawn, text } of texts) redrawn.draw(text);
}

/**
 * Draws a text on a terminal, each time in place of the one before. Other lines that this process writes to the terminal meanwhile go
 * through `writeAbove`.
 */
export class Redrawn {
  private text: string | null = null;

  /** @param stream A terminal. */
  constructor(private readonly stream: Pick<NodeJS.WriteStream, 'write'>) {}

  /** @param text Lines no longer than the terminal is wide, and fewer than it is high. */
  draw(text: string): void {
    this.erase();
    this.stream.write(`${text}\n`);
    this.text = text;
    drawn.add(this);
  }

  /** @returns the text that it erased; empty if there was none. */
  erase(): string {
    const { text } = this;
    this.keep();
    if (text === null) return '';
    // Up to its first line, and to the left: the terminal may have echoed a key, such as "^C".
    this.stream.write(`\r\x1b[${text.split('\n').length}A\x1b[J`);
    return text;
  }

  /** The text stays as it is; what is drawn next comes below. */
  keep(): void {
    this.text = null;
    drawn.delete(this);
  }
}

const ENTER_SCREEN = '\x1b[?1049h';
const LEAVE_SCREEN = '\x1b[?1049l';
/** The cursor to the top left, and everything away. */
const WIPE = '\x1b[H\x1b[J';

/**
 * Draws a text on the second screen of a terminal, which holds nothing else: keys that the user presses meanwhile leave no trace, and what
 * the terminal showed before comes back at the end.
 */
export class OwnScreen {
  private readonly leave = () => void this.stream.write(LEAVE_SCREEN);
  private isEntered = false;

  /** @param stream A terminal. */
  constructor(private readonly stream: Pick<NodeJS.WriteStream, 'write'>) {}

  /** @param text Lines no longer than the terminal is wide, and fewer than it is high. */
  draw(text: string): void {
    if (!this.isEntered) {
      this.isEntered = true;
      // Also if the process exits at once, as at a second Ctrl-C.
      process.once('exit', this.leave);
      this.stream.write(ENTER_SCREEN);
    }
    this.stream.write(`${WIPE}${text}\n`);
  }

  /** Gives the terminal back. */
  end(): void {
    if (!this.isEntered) return;
    this.isEntered = false;
    process.off('exit', this.leave);
    this.leave();
  }
}
