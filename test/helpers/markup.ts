/** Elements that are never closed. */
const VOID = new Set(['meta', 'img', 'input', 'wbr']);

/** What is open at the end of a page, and every mismatch on the way; nothing where all elements are closed in order. */
export function unbalanced(page: string): string[] {
  const body = page.replace(/<!doctype html>/, '').replaceAll(/(<(script|style)[^>]*>)[\s\S]*?(<\/\2>)/g, '$1$3');
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, end, tag, alone] of body.matchAll(/<(\/?)([a-zA-Z0-9]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (tag === undefined || VOID.has(tag) || alone === '/') continue;
    if (end === '') open.push(tag);
    else if (open.pop() !== tag) wrong.push(tag);
  }
  return [...open, ...wrong];
}
