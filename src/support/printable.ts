/** What a terminal would obey and not show: control characters (C0, DEL, C1), line and paragraph separators, marks of direction. */
export const CONTROLS = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** A text of somebody else, made safe to print: what a terminal would obey becomes `\u001b` and the like. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
