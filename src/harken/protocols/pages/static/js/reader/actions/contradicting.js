/** Marking a contradiction: choose a card, then the one that it contradicts. */

import * as cards from '../cards.js';
import { client, place, tell } from '../session.js';

/** @type {HTMLElement | null} */
let first = null;
/** @type {HTMLElement | null} */
let bar = null;

/** Whether the reader is choosing the other card. */
export function isPicking() {
  return first !== null;
}

/** Begin with a card; the other one is picked next. @param {HTMLElement} card */
export function begin(card) {
  cancel();
  first = card;
  card.dataset.picked = '';
  document.body.classList.add('is-picking');
  for (const each of cards.all()) setPickable(each, each !== card);
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('picking'));
  bar = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  /** @type {HTMLElement} */ (bar.querySelector('strong')).textContent = titleOf(card);
  document.body.append(bar);
  // Said after it is there, or screen readers say nothing.
  const text = /** @type {HTMLElement} */ (bar.querySelector('p'));
  text.setAttribute('role', 'status');
  cards.focus(card);
}

/** Leave it. */
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

/** Cards that came while one is being picked can be picked too. */
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
  name(one, card);
  name(card, one);
  void tell(recording, 'Recorded. Both are in the feed Contradictions now.');
}

/** Name the other among what a card contradicts. @param {HTMLElement} card @param {HTMLElement} other */
function name(card, other) {
  const line = /** @type {HTMLElement} */ (card.querySelector('.conflicts'));
  const link = /** @type {HTMLAnchorElement} */ (other.querySelector('.title'));
  if ([...line.querySelectorAll('a')].some((each) => each.href === link.href)) return;
  if (line.querySelector('a')) line.append(', ');
  line.append(Object.assign(document.createElement('a'), {
    href: link.href, textContent: link.textContent,
  }));
  line.hidden = false;
}

/** @param {HTMLElement} card @param {boolean} can */
function setPickable(card, can) {
  /** @type {HTMLElement} */ (card.querySelector('.pick')).hidden = !can;
}

/** @param {HTMLElement} card */
function titleOf(card) {
  return card.querySelector('.title')?.textContent ?? '';
}
