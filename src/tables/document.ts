/** A document of tables as data, which every layout is made from. */

/** A piece of text; with `href`, a link. */
export interface Piece {
  readonly text: string;
  readonly href?: string;
}

/** What stands in a cell or in a line. */
export type Text = readonly Piece[];

export interface DocumentTable {
  readonly head: readonly string[];
  /** As many cells a row as the head has. */
  readonly body: readonly (readonly Text[])[];
}

export interface Section {
  readonly title: string;
  readonly table: DocumentTable;
  /** Lines below the table. */
  readonly notes: readonly Text[];
}

/** A text without links. */
export function plain(text: string): Text {
  return [{ text }];
}

/** The words of a text, its links left out. */
export function wordsOf(text: Text): string {
  return text.map((piece) => piece.text).join('');
}
