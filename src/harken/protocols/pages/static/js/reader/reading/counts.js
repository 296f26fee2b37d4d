/** The counts in the tabs: how many notes of a feed are unread, and how many are saved. */

import { json } from '../../http.js';
import { isGuest, user } from '../session.js';

const WAIT_MS = 400;
const MOST_SHOWN = 999;
/** The feeds that one request may ask for. */
const MOST = 32;
/** Feeds whose tabs have no count of their own: their notes are those of another feed. */
const WITHOUT = new Set(['personal', 'history', 'saved']);

/** @type {number | undefined} */
let timer;

/** Read the counts again soon. */
export function refresh() {
  if (isGuest) return;
  clearTimeout(timer);
  timer = setTimeout(() => void load(), WAIT_MS);
}

async function load() {
  const tabs = [...document.querySelectorAll('#feeds > ul a')].map((tab) => ({
    tab: /** @type {HTMLAnchorElement} */ (tab),
    feed: new URL(/** @type {HTMLAnchorElement} */ (tab).href).searchParams.get('feed') ?? 'cosmos',
  }));
  if (!tabs.length) return;
  const asked = new URLSearchParams({ user_id: user });
  const counted = tabs.filter(({ feed }) => !WITHOUT.has(feed)).slice(0, MOST);
  for (const { feed } of counted) asked.append('feed', feed);
  try {
    const { unread, saved } = await json(`/api/feed/unread?${asked}`);
    for (const { tab, feed } of counted) show(tab, unread[feed] ?? 0, 'unread');
    for (const { tab, feed } of tabs) if (feed === 'saved') show(tab, saved, 'saved');
  } catch {
    // The feeds can be read without their counts.
  }
}

/** @param {HTMLElement} tab @param {number} count @param {string} what */
function show(tab, count, what) {
  let shown = tab.querySelector('.tab-count');
  if (count === 0) {
    shown?.remove();
    return;
  }
  if (!shown) {
    shown = Object.assign(document.createElement('span'), { className: 'tab-count' });
    tab.append(shown);
  }
  const hidden = Object.assign(document.createElement('span'), {
    className: 'hidden-text', textContent: ` ${what}`,
  });
  shown.replaceChildren(count > MOST_SHOWN ? `${MOST_SHOWN}+` : String(count), hidden);
}
