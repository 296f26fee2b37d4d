/** The panel of one K-Block or one reader, and the buttons that open it. */

import { json, root } from '../../http.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { fill } from '../table.js';
import { counts, nameOf, summary, windowOf } from '../figures/pages.js';

/** @typedef {{kind: 'kblocks' | 'readers', id: string}} Chosen */
/** @typedef {Api.ImpressionGroup & {by: string}} Row */

const panel = new Panel('one');
const form = /** @type {HTMLFormElement} */ (document.getElementById('one-form'));
const title = /** @type {HTMLElement} */ (document.getElementById('one-title'));
const latest = /** @type {HTMLElement} */ (document.getElementById('one-latest'));

/** @type {Chosen | null} */
let chosen = null;
/** @type {() => Promise<void>} */
let changed = async () => undefined;

/** @param {() => Promise<void>} then called when another one is chosen */
export function onOneChange(then) {
  changed = then;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    choose({ kind: 'readers', id: String(new FormData(form).get('reader')).trim() });
  });
}

/** Return a button that shows the figures of a K-Block. @param {string} id @param {string | null} name */
export function figuresButton(id, name) {
  const made = Object.assign(document.createElement('button'), {
    type: 'button', className: 'quiet small', textContent: 'Figures',
  });
  made.setAttribute('aria-label', `Figures of ${name || id}`);
  made.addEventListener('click', () => choose({ kind: 'kblocks', id }));
  return made;
}

/** @param {import('../range.js').RangeQuery} range */
export async function showOne(range) {
  await panel.fill(async () => {
    if (chosen === null) return 'Choose Figures beside a K-Block, or enter the id of a reader.';
    const { kind, id } = chosen;
    const query = new URLSearchParams(range.times);
    const found = await json(`/api/feed/analytics/${kind}/${encodeURIComponent(id)}?${query}`);
    if (chosen.id !== id || chosen.kind !== kind) return undefined;
    panel.window(windowOf(found, range.label));
    if (kind === 'kblocks') showKBlock(id, found);
    else showReader(found);
    return undefined;
  });
}

/** @param {Chosen} next */
async function choose(next) {
  chosen = next;
  panel.problem('');
  title.textContent = next.kind === 'readers' ? `Reader ${next.id}` : 'One K-Block';
  await changed();
  title.scrollIntoView({ block: 'start' });
  title.focus({ preventScroll: true });
}

/** @param {string} id @param {Api.KBlockFigures} found */
function showKBlock(id, found) {
  title.replaceChildren(found.title === null ? id : Object.assign(document.createElement('a'), {
    href: `${root}/kblock?id=${encodeURIComponent(id)}`, textContent: found.title || id,
  }));
  const { counts: did, readers, kblock } = found;
  const all = kblock ? ` Of all time: ${acts(kblock)}, ${format.plural(kblock.unique_viewers, 'reader')}.` : '';
  setText('one-summary', `${acts(did)} by ${format.plural(readers, 'reader')}. ${summary(found.impressions)}${all}`);
  tabulate({ feed: found.by_feed, ranking: found.by_ranking, position: found.by_position });
  latest.hidden = true;
}

/** @param {Api.ReaderFigures} found */
function showReader(found) {
  const { counts: did, kblocks } = found;
  setText('one-summary', `${acts(did)} on ${format.plural(kblocks, 'K-Block')}. ${summary(found.impressions)}`);
  tabulate({ feed: found.by_feed, ranking: found.by_ranking });
  fill('latest-table', [
    { label: 'Time (UTC)', kind: 'time', of: (row) => row.created_at },
    { label: 'K-Block', of: (row) => row.title ?? row.kblock_id },
    { label: 'Event', of: (row) => row.interaction_type ?? row.action },
    { label: 'Dwell time (ms)', kind: 'number', of: (row) => row.dwell_time_ms },
  ], found.latest);
  latest.hidden = false;
}

/** @param {{views: number, engagements: number, dismissals: number}} of */
function acts({ views, engagements, dismissals }) {
  return `${format.plural(views, 'view')}, ${format.plural(engagements, 'engagement')}, `
    + format.plural(dismissals, 'dismissal');
}

/** @param {Record<string, Api.ImpressionGroup[]>} groups */
function tabulate(groups) {
  const rows = Object.entries(groups).flatMap(([by, some]) => some.map((each) => ({ ...each, by })));
  /** @type {import('../table.js').Column<Row>[]} */
  const columns = [
    { label: 'Pages of', of: (row) => `${row.by} ${nameOf(row.by, row)}` },
    ...counts(),
  ];
  fill('one-table', columns, rows);
}
