/** Marking a contradiction: choose a card, then the card that it contradicts. */

import { json } from '../../http.js';
import { toast } from '../../toast.js';
import * as cards from '../cards.js';
import { client, confirmRecorded, isGuest, place, user } from '../session.js';

/** @type {HTMLElement | null} */
let first = null;
/** @type {HTMLElement | null} */
let bar = null;

/** Return whether the second card is being chosen. */
export function isPicking() {
  return first !== null;
}

/** Start with the card that contradicts another one. @param {HTMLElement} card */
export function begin(card) {
  if (isGuest) {
    toast('A guest cannot mark contradictions: choose a name.');
    return;
  }
  cancel();
  first = card;
  card.dataset.picked = '';
  document.body.classList.add('is-picking');
  for (const each of cards.all()) setPickable(each, each !== card);
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('picking'));
  bar = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  /** @type {HTMLElement} */ (bar.querySelector('strong')).textContent = titleOf(card);
  document.body.append(bar);
  // The role is set after insertion, or screen readers do not announce the text.
  const text = /** @type {HTMLElement} */ (bar.querySelector('p'));
  text.setAttribute('role', 'status');
  cards.focus(card);
}

/** Stop choosing without recording anything. */
export function cancel() {
  if (first === null) return;
  delete first.dataset.picked;
  for (const each of cards.all()) setPickable(each, false);
  document.body.classList.remove('is-picking');
  bar?.remove();
  const was = first;
  first = bar = null;
  cards.focus(was);
}

/** Make cards selectable that were loaded meanwhile. */
export function renew() {
  if (first === null) return;
  for (const each of cards.all()) setPickable(each, each !== first);
}

/** Record that the first card contradicts this one. @param {HTMLElement} card */
export function pick(card) {
  if (first === null || card === first) return;
  const one = first;
  const recording = client.record({
    ...place(one), action: 'contradict', metadata: { contradicts: card.dataset.id },
  });
  cancel();
  const forget = [name(one, card), name(card, one)];
  const text = 'Recorded. Both notes are now in the feed Contradictions.';
  void confirmRecorded(recording, text, async (id) => {
    if (await takeBack(id)) for (const each of forget) each();
  });
}

/** @param {string} id the event's id @returns {Promise<boolean>} whether it counts no more */
async function takeBack(id) {
  try {
    const asked = new URLSearchParams({ user_id: user });
    const path = `/api/feed/contradictions/${encodeURIComponent(id)}?${asked}`;
    await json(path, { method: 'DELETE' });
    toast('The contradiction is taken back.');
    return true;
  } catch (error) {
    toast(`It could not be taken back: ${/** @type {Error} */ (error).message}`);
    return false;
  }
}

/**
 * Add the other card to the list of contradictions of a card.
 * @param {HTMLElement} card @param {HTMLElement} other
 * @returns {() => void} takes it from the list, unless it was there before
 */
function name(card, other) {
  const line = /** @type {HTMLElement} */ (card.querySelector('.conflicts'));
  const link = /** @type {HTMLAnchorElement} */ (other.querySelector('.title'));
  if ([...line.querySelectorAll('a')].some((each) => each.href === link.href)) return () => {};
  const comma = document.createTextNode(line.querySelector('a') ? ', ' : '');
  const added = Object.assign(document.createElement('a'), {
    href: link.href, textContent: link.textContent,
  });
  line.append(comma, added);
  line.hidden = false;
  return () => {
    comma.remove();
    added.remove();
    line.hidden = line.querySelector('a') === null;
  };
}

/** @param {HTMLElement} card @param {boolean} can */
function setPickable(card, can) {
  /** @type {HTMLElement} */ (card.querySelector('.pick')).hidden = !can;
}

/** @param {HTMLElement} card */
function titleOf(card) {
  return card.querySelector('.title')?.textContent ?? '';
}
