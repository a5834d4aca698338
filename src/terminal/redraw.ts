/** Draws a text on a terminal, each time in place of the one before. */
export class Redrawn {
  private drawnLines = 0;

  /** @param stream A terminal. */
  constructor(private readonly stream: NodeJS.WriteStream) {}

  /** @param text Lines no longer than the terminal is wide, and fewer than it is high. */
  draw(text: string): void {
    this.clear();
    this.stream.write(`${text}\n`);
    this.drawnLines = text.split('\n').length;
  }

  /** Erases the text. */
  clear(): void {
    // Go up to its first line.
    if (this.drawnLines > 0) this.stream.write(`\x1b[${this.drawnLines}A\x1b[J`);
    this.drawnLines = 0;
  }
}
