/** The feed goes on as it is scrolled, by its cursor; no card comes twice. */

import { Refused, request } from '../http.js';
import * as cards from './cards.js';
import { query } from './session.js';

const AHEAD = '1200px';

const feed = /** @type {HTMLElement} */ (document.getElementById('feed'));
const more = /** @type {HTMLElement} */ (document.getElementById('more'));
const button = /** @type {HTMLButtonElement} */ (more.querySelector('[data-do=more]'));
const end = /** @type {HTMLElement} */ (document.getElementById('end'));

/** @type {() => void} */
let tellMore = () => {};
let loading = false;
/** After a failure the reader decides when to try again. */
let failed = false;

/** @param {() => void} act what is done when cards came */
export function onMore(act) {
  tellMore = act;
}

/** Begin with the page that came with the document. */
export function start() {
  for (const slate of feed.querySelectorAll('.slate')) {
    cards.takeUp(/** @type {HTMLElement} */ (slate));
  }
  new IntersectionObserver(
    (entries) => entries.some((each) => each.isIntersecting) && !failed && load(),
    { rootMargin: AHEAD },
  ).observe(more);
}

/** Bring the next page, unless it is on its way or there is none. */
export async function load() {
  const slates = feed.querySelectorAll('.slate');
  const { nextCursor } = /** @type {HTMLElement} */ (slates[slates.length - 1]).dataset;
  if (loading || !nextCursor) return;
  loading = true;
  button.disabled = true;
  feed.setAttribute('aria-busy', 'true');
  try {
    const asked = query({
      feed: feed.dataset.feed ?? '', ranking: feed.dataset.ranking ?? '', cursor: nextCursor,
    });
    add(await (await request(`/reader/cards?${asked}`)).text());
    failed = false;
  } catch (error) {
    failed = true;
    say(error);
  } finally {
    loading = false;
    button.disabled = false;
    feed.setAttribute('aria-busy', 'false');
  }
  if (!failed && isNear()) await load();
}

/** @param {string} html a page, of which the server escaped every text */
function add(html) {
  const parsed = document.createElement('template');
  parsed.innerHTML = html;
  const slate = /** @type {HTMLElement} */ (parsed.content.querySelector('.slate'));
  more.classList.add('is-moving');
  feed.append(slate);
  requestAnimationFrame(() => requestAnimationFrame(() => more.classList.remove('is-moving')));
  cards.takeUp(slate);
  tellMore();
  end.hidden = true;
  button.textContent = 'Show more';
  if (!slate.dataset.nextCursor) finish('That is all of it.');
}

/** @param {unknown} error */
function say(error) {
  if (error instanceof Refused && error.status === 410) {
    finish('This page is more than an hour old, so it ends here. ');
    const again = Object.assign(document.createElement('button'), {
      type: 'button', textContent: 'Start again',
    });
    again.addEventListener('click', () => location.reload());
    end.append(again);
    return;
  }
  end.textContent = error instanceof Error ? error.message : String(error);
  end.hidden = false;
  button.textContent = 'Try again';
}

/** @param {string} text */
function finish(text) {
  button.hidden = true;
  end.textContent = text;
  end.hidden = false;
}

/** Whether the end is still in reach: the observer only says when that changes. */
function isNear() {
  return more.getBoundingClientRect().top < innerHeight + parseInt(AHEAD, 10);
}
