/** Marking a contradiction: choose a card, then the card that it contradicts; and taking it back. */

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
  const pair = [one.dataset.id ?? '', card.dataset.id ?? ''];
  name(one, card);
  name(card, one);
  const text = 'Recorded. Both notes are now in the feed Contradictions.';
  void confirmRecorded(recording, text, async (id) => {
    if (await takeBack([id])) await settle(pair);
  });
  recording.then(({ interaction_id: id }) => allow(pair, id), () => settle(pair));
}

document.addEventListener('click', (event) => {
  const at = /** @type {Element} */ (event.target);
  const button = /** @type {HTMLElement | null} */ (at.closest('.take-back'));
  if (button) void takeBackHere(button);
});

/** Take back what the user said of two notes. @param {HTMLElement} button */
async function takeBackHere(button) {
  const card = /** @type {HTMLElement} */ (button.closest('[data-id]'));
  const other = /** @type {HTMLElement} */ (button.closest('.conflict')).dataset.other ?? '';
  if (!await takeBack(JSON.parse(button.dataset.events ?? '[]'))) return;
  await settle([card.dataset.id ?? '', other]);
  card.focus();
}

/** @param {string[]} events their ids @returns {Promise<boolean>} whether they count no more */
export async function takeBack(events) {
  try {
    for (const id of events) {
      const asked = new URLSearchParams({ user_id: user });
      const path = `/api/feed/contradictions/${encodeURIComponent(id)}?${asked}`;
      await json(path, { method: 'DELETE' });
    }
    toast('The contradiction is taken back.');
    return true;
  } catch (error) {
    toast(`It could not be taken back: ${/** @type {Error} */ (error).message}`);
    return false;
  }
}

/**
 * Show whether two notes still contradict each other: another reader, or a note, may say so too.
 * @param {string[]} pair
 */
async function settle(pair) {
  let remains = false;
  try {
    const { contradicts } = await json(`/api/kblocks/${encodeURIComponent(pair[0])}`);
    remains = contradicts.includes(pair[1]);
  } catch {
    // The next load of the page shows it.
  }
  for (const each of named(pair)) {
    const line = /** @type {HTMLElement} */ (each.closest('.conflicts'));
    if (remains) each.querySelector('.take-back')?.remove();
    else each.remove();
    line.hidden = line.querySelector('.conflict') === null;
  }
}

/** Let the user take back an event that they have just recorded. @param {string[]} pair @param {string} id */
function allow(pair, id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('take-back'));
  for (const each of named(pair)) {
    const known = /** @type {HTMLElement | null} */ (each.querySelector('.take-back'));
    const button = known ?? /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    button.dataset.events = JSON.stringify([...JSON.parse(button.dataset.events ?? '[]'), id]);
    button.setAttribute('aria-label', `Take back that it contradicts ${each.textContent}`);
    each.append(button);
  }
}

/** @param {string[]} pair @returns {HTMLElement[]} where each note names the other */
function named([one, other]) {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.conflicts .conflict')]);
  return all.filter((each) => {
    const own = /** @type {HTMLElement} */ (each.closest('[data-id]')).dataset.id;
    const { other: said } = each.dataset;
    return (own === one && said === other) || (own === other && said === one);
  });
}

/** Add the other card to the list of contradictions of a card. @param {HTMLElement} card @param {HTMLElement} other */
function name(card, other) {
  const line = /** @type {HTMLElement} */ (card.querySelector('.conflicts'));
  const link = /** @type {HTMLAnchorElement} */ (other.querySelector('.title'));
  const known = /** @type {HTMLElement[]} */ ([...line.querySelectorAll('.conflict')]);
  if (known.some((each) => each.dataset.other === other.dataset.id)) return;
  const added = Object.assign(document.createElement('span'), { className: 'conflict' });
  added.dataset.other = other.dataset.id;
  added.append(Object.assign(document.createElement('a'), {
    href: link.href, textContent: link.textContent,
  }));
  line.append(added);
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
