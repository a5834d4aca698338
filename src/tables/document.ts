/** A document of tables as data, which every layout is made from. */

/** A piece of text; with `href`, a link. */
export interface Piece {
  readonly text: string;
  readonly href?: string;
  /** A shorter name of the link, for a layout in which the text can stand with the link's target. */
  readonly short?: string;
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
