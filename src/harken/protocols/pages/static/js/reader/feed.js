/** Infinite scrolling: loads the next page by its cursor when the end comes near. */

import { Refused, request } from '../http.js';
import * as cards from './cards.js';
import { query } from './session.js';

const AHEAD = '1200px';

const feed = /** @type {HTMLElement} */ (document.getElementById('feed'));
const more = /** @type {HTMLElement} */ (document.getElementById('more'));
const button = /** @type {HTMLButtonElement} */ (more.querySelector('[data-do=more]'));
const end = /** @type {HTMLElement} */ (document.getElementById('end'));

/** @type {() => void} */
let notifyMore = () => {};
let loading = false;
/** After a failure, only the button tries again. */
let failed = false;

/** @param {() => void} act called when cards were added */
export function onMore(act) {
  notifyMore = act;
}

/** Start with the page in the document. */
export function start() {
  for (const slate of feed.querySelectorAll('.slate')) {
    cards.register(/** @type {HTMLElement} */ (slate));
  }
  new IntersectionObserver(
    (entries) => entries.some((each) => each.isIntersecting) && !failed && load(),
    { rootMargin: AHEAD },
  ).observe(more);
}

/** Load the next page, unless it is already loading or there is none. */
export async function load() {
  const slates = feed.querySelectorAll('.slate');
  const { nextCursor } = /** @type {HTMLElement} */ (slates[slates.length - 1]).dataset;
  if (loading || !nextCursor) return;
  loading = true;
  button.disabled = true;
  feed.setAttribute('aria-busy', 'true');
  try {
    const parameters = query({
      feed: feed.dataset.feed ?? '', ranking: feed.dataset.ranking ?? '', cursor: nextCursor,
    });
    add(await (await request(`/reader/cards?${parameters}`)).text());
    failed = false;
  } catch (error) {
    failed = true;
    showError(error);
  } finally {
    loading = false;
    button.disabled = false;
    feed.setAttribute('aria-busy', 'false');
  }
  if (!failed && isNear()) await load();
}

/** @param {string} html HTML of a page; the server escaped all texts */
function add(html) {
  const parsed = document.createElement('template');
  parsed.innerHTML = html;
  const slate = /** @type {HTMLElement} */ (parsed.content.querySelector('.slate'));
  more.classList.add('is-moving');
  feed.append(slate);
  requestAnimationFrame(() => requestAnimationFrame(() => more.classList.remove('is-moving')));
  cards.register(slate);
  notifyMore();
  end.hidden = true;
  button.textContent = 'Show more';
  if (!slate.dataset.nextCursor) finish('You have reached the end.');
}

/** @param {unknown} error */
function showError(error) {
  if (error instanceof Refused && error.status === 410) {
    finish('This page is more than an hour old and cannot be continued. ');
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

/** Return whether the end is still near; the observer reports changes only. */
function isNear() {
  return more.getBoundingClientRect().top < innerHeight + parseInt(AHEAD, 10);
}
