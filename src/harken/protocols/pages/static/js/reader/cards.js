/** The cards of the feed: finding them, moving the focus, and measuring views. */

import { client, place } from './session.js';

/** @type {Map<HTMLElement, () => void>} functions that stop measuring a card */
const watched = new Map();
/** Cards by K-Block id, also dismissed ones, so that no K-Block is shown twice. */
const known = new Map();

/** @returns {HTMLElement[]} the cards on the page, in their order */
export function all() {
  // Looked up each time: the page of a note loads its similar notes after its scripts.
  return [...document.querySelectorAll('#feed .card')].map((each) => /** @type {HTMLElement} */ (each));
}

/** @param {string} id @returns {HTMLElement | undefined} the card of a K-Block */
export function ofKBlock(id) {
  return known.get(id);
}

/**
 * Add the cards of a page; a card whose K-Block is already on the page is removed.
 * @param {HTMLElement} slate
 */
export function register(slate) {
  for (const card of slate.querySelectorAll('.card')) {
    const element = /** @type {HTMLElement} */ (card);
    const { kblock_id: id } = place(element);
    if (known.has(id)) element.remove();
    else {
      known.set(id, element);
      watch(element);
    }
  }
}

/**
 * Start to record views of a card; a result of a search, which is on no slate, has none.
 * @param {HTMLElement} card
 */
export function watch(card) {
  const { kblock_id: id, ...where } = place(card);
  if (where.request_id === undefined) return;
  const stop = client.observe(card, id, {
    requestId: where.request_id, position: where.position,
  });
  watched.set(card, stop);
}

/** Stop recording views of a card. @param {HTMLElement} card */
export function unwatch(card) {
  watched.get(card)?.();
  watched.delete(card);
}

/** @returns {HTMLElement | null} the card that has or contains the focus */
export function current() {
  return /** @type {HTMLElement | null} */ (document.activeElement?.closest('.card') ?? null);
}

/**
 * Focus the next or the previous card.
 * @param {number} step 1 or -1
 */
export function move(step) {
  const cards = all();
  const at = current();
  let index = at === null ? nearest(cards, step) : cards.indexOf(at) + step;
  index = Math.max(0, Math.min(cards.length - 1, index));
  if (cards[index]) focus(cards[index]);
}

/** @param {HTMLElement} card */
export function focus(card) {
  card.focus({ preventScroll: true });
  const smooth = matchMedia('(prefers-reduced-motion: no-preference)').matches;
  card.scrollIntoView({ block: 'nearest', behavior: smooth ? 'smooth' : 'auto' });
}

/**
 * Return the index of the first visible card, so that moving starts there after scrolling.
 * @param {HTMLElement[]} cards @param {number} step
 */
function nearest(cards, step) {
  const index = cards.findIndex((each) => each.getBoundingClientRect().bottom > 120);
  return step > 0 ? Math.max(index, 0) : index - 1;
}
