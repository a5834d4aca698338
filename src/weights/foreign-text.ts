import { MalformedFileError, quote } from './malformed.js';
import { type ByteSource, headOf } from './source.js';

/** Texts that are often given instead of weights: pointers to a file, web pages, answers of servers. */

const DOWNLOAD_AGAIN =
  'Download the file itself, from its "raw" or "download" link, not the page about it. Log in first if the server asks for it.';

/** Bytes of a pointer, or of a short answer of a server. */
const LONGEST_ANSWER = 1024;

/** What servers answer in plain words instead of a file. */
const ANSWER =
  /^(error|http\/\d|[45]\d\d\b|bad request|unauthori[sz]ed|forbidden|not found|page not found|file not found|no such|entry not found|repository not found|revision not found|access (to .* )?(is )?(denied|restricted)|permission denied|authentication|authorization|invalid|please (log|sign|accept)|you (need|must|are not|do not|don't)|login required|rate limit|too many requests|api rate limit|quota|service unavailable|internal server error|bad gateway|gateway time-?out|moved permanently|found\.? redirecting|redirecting|temporarily|sorry|expired|request (has )?expired|the (requested|specified|resource|page|file)|cannot (get|find)|signature|missing)/i;

/** Only a path: a link that was checked out as a text. */
const PATH = /^\.{1,2}\/[^\s]+\s*$/;

/** What a text is that is something else than weights; null if it is not a text, or not a known one. */
export function foreignText(source: ByteSource): MalformedFileError | null {
  const text = textOf(headOf(source));
  if (text === null) return null;
  return pointer(text, source.size) ?? markup(text) ?? json(text) ?? shortText(text, source.size);
}

/** The text of a file's first bytes, without a byte-order mark and leading white space; null if they are not text. */
function textOf(head: Uint8Array): string | null {
  const encoding =
    head[0] === 0xff && head[1] === 0xfe ? 'utf-16le' : head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'utf-8';
  const text = new TextDecoder(encoding).decode(head).trimStart();
  return text.includes('\0') ? null : text;
}

function pointer(text: string, size: number): MalformedFileError | null {
  if (/^version https?:\/\/\S+\/spec\/v\d/.test(text)) {
    const bytes = /^size (\d+)/m.exec(text)?.[1];
    return new MalformedFileError(
      `it is a Git LFS pointer (${size} bytes), not the file itself${bytes === undefined ? '' : ` (${bytes} bytes)`}`,
      'Run git lfs pull in its repository, or download the file itself from the page of the repository.',
    );
  }
  if (size <= LONGEST_ANSWER && /^(\S*\/)?\.git\/(modules\/\S+\/)?annex\/objects\/|^\/annex\/objects\//.test(text)) {
    const next = 'Run git annex get on it in its repository.';
    return new MalformedFileError('it is a git-annex pointer, not the file itself', next);
  }
  if (!/^outs:\s*\n\s*- /.test(text)) return null;
  return new MalformedFileError('it is a DVC pointer, not the file itself', 'Run dvc pull on it in its repository.');
}

function markup(text: string): MalformedFileError | null {
  if (/^(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)*<(!doctype\s+html|html|head|body|title|script|meta)\b/i.test(text)) {
    const title = /<title[^>]*>\s*([^<]*?)\s*<\/title>/i.exec(text)?.[1];
    const titled = title ? ` with the title ${quote(title)}` : '';
    return new MalformedFileError(`it is a web page (HTML)${titled}, not a file of weights`, DOWNLOAD_AGAIN);
  }
  if (!/^<(\?xml\b|[A-Za-z][\w:-]*[\s>/])/.test(text)) return null;
  const parts = ['Code', 'Message'].flatMap((tag) => {
    const content = new RegExp(`<${tag}>\\s*([^<]*?)\\s*</${tag}>`, 'i').exec(text)?.[1];
    return content ? [quote(content)] : [];
  });
  return serverAnswer('an XML text', parts);
}

function json(text: string): MalformedFileError | null {
  if (!/^\{\s*("|\})|^\[\s*[\]{["\d-]/.test(text)) return null;
  if (!/"weight_map"\s*:/.test(text)) return serverAnswer('a JSON text');
  return new MalformedFileError(
    'it is the index of weights in several files',
    'Load them with the library that wrote them, and save all tensors in one file.',
  );
}

function shortText(text: string, size: number): MalformedFileError | null {
  if (size > LONGEST_ANSWER) return null;
  const line = text.split(/\r?\n/, 1)[0]!.trim();
  if (ANSWER.test(line)) return serverAnswer('a text', [quote(line)]);
  if (!PATH.test(text)) return null;
  return new MalformedFileError(
    `it is the text of a link to ${quote(text.trim())}, not the file itself`,
    'Give the file that it leads to, or check the repository out again with links (git config core.symlinks true).',
  );
}

function serverAnswer(what: string, parts: readonly string[] = []): MalformedFileError {
  const answer = parts.length === 0 ? '' : `: ${parts.join(', ')}`;
  return new MalformedFileError(`it is ${what} that a server sent instead of the file${answer}`, DOWNLOAD_AGAIN);
}
