import { PAGE_BASE } from '../page-base.js';

/** Style of the page of samples: light and dark, one column on a phone. */
export const PAGE_STYLE = `${PAGE_BASE}
:root { --opacity: 0.5; }
.controls {
  position: sticky;
  top: 0;
  z-index: 1;
  margin: 1rem 0;
  padding: 0.6rem 0;
  border-bottom: 1px solid var(--line);
  background: var(--paper);
}
.controls label { display: flex; align-items: center; gap: 0.75rem; max-width: 26rem; }
.controls input { flex: 1; min-width: 0; accent-color: var(--accent); }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.25rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--card); overflow: hidden; }
.sample { position: relative; }
.sample img { display: block; width: 100%; height: auto; }
.sample .labels { position: absolute; inset: 0; opacity: var(--opacity); image-rendering: pixelated; cursor: crosshair; }
output {
  position: absolute;
  left: 0.4rem;
  bottom: 0.4rem;
  padding: 0 0.45rem;
  border-radius: 0.25rem;
  background: rgb(0 0 0 / 75%);
  color: #fff;
  font-size: 0.85rem;
  pointer-events: none;
}
output:empty { display: none; }
figcaption { padding: 0.55rem 0.75rem 0.7rem; font-size: 0.875rem; overflow-wrap: anywhere; }
figcaption span { color: var(--soft); }
.place { white-space: nowrap; }
.changes { display: block; }
.legend {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 14rem), 1fr));
  gap: 0.2rem 1.5rem;
  margin: 0;
  padding: 0;
  list-style: none;
}
.legend li { display: flex; align-items: center; gap: 0.6rem; }
.legend i { flex: none; width: 1.1rem; height: 1.1rem; border: 1px solid var(--line); border-radius: 0.2rem; }
.legend .ignored { background: repeating-linear-gradient(45deg, var(--line) 0 2px, transparent 2px 5px); }
.legend span { flex: 1; min-width: 0; }
.legend b { font-weight: 400; font-variant-numeric: tabular-nums; color: var(--soft); }
.note { margin: 0.75rem 0 0; max-width: 70ch; color: var(--soft); font-size: 0.875rem; }
`;
