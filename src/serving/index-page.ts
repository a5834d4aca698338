import { facts } from '../pages/markup.js';
import { escapeHtml, PAGE_BASE, pageHead } from '../tables/html.js';

const STYLE = `${PAGE_BASE}
pre { padding: 0.75rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--card); }
a { color: var(--accent); }
`;

/** A page that says what the server answers. @param url Its own address. */
export function indexPage(url: string, { row, dataset }: { readonly row: string; readonly dataset: string }): string {
  const commands = [
    `curl --data-binary @IMAGE '${url}predict' --output labels.png`,
    `curl --data-binary @IMAGE '${url}predict?format=overlay' --output overlay.png`,
    `curl --data-binary @IMAGE '${url}predict?format=json'`,
  ];
  return `<!doctype html>
<html lang="en">
${pageHead(escapeHtml(row), STYLE)}
<body>
<header><h1>${escapeHtml(row)}</h1>
<p>A server of predictions. Send an image, and get the class of each of its pixels.</p></header>
<main>
${facts([
  ['Row', row],
  ['Data set', dataset],
])}
<h2>Predict</h2>
<pre>${commands.map(escapeHtml).join('\n')}</pre>
<h2>Look</h2>
<ul><li><a href="/model">/model</a>: the network, its classes and colours</li>
<li><a href="/health">/health</a>: whether it is ready, and how many wait</li></ul>
</main>
</body>
</html>
`;
}
