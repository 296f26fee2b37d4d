/** The list of comments on a note: shown and hidden, and loaded again when it changed. */

import { request } from '../../http.js';
import { toast } from '../../toast.js';
import { part } from '../card-content.js';
import { query } from '../session.js';
import * as changing from './changing.js';

/** Show the comments on a note, or hide them. @param {HTMLElement} card */
export async function toggle(card) {
  const shown = card.querySelector('.comments');
  if (shown === null) {
    if (await load(card)) part(card, '.comments').focus();
    return;
  }
  shown.remove();
  button(card).setAttribute('aria-expanded', 'false');
  if (button(card).hidden) card.focus();
  else button(card).focus();
}

/** Load the comments and show them. @param {HTMLElement} card @returns {Promise<boolean>} whether they are shown */
export async function load(card) {
  try {
    const list = await read(card, 0);
    card.querySelector('.comments')?.remove();
    part(card, '.actions').after(list);
    connect(card, list);
    return true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
    return false;
  }
}

/** Connect the buttons of a list that the page came with. @param {HTMLElement} card */
export function start(card) {
  const list = /** @type {HTMLElement | null} */ (card.querySelector('.comments'));
  if (list) connect(card, list);
}

/** @param {HTMLElement} card @param {number} offset @returns {Promise<HTMLElement>} */
async function read(card, offset) {
  const parameters = query({ id: card.dataset.id ?? '', offset: String(offset) });
  const parsed = document.createElement('template');
  parsed.innerHTML = await (await request(`/reader/comments?${parameters}`)).text();
  return part(parsed.content, '.comments');
}

/** @param {HTMLElement} card @param {HTMLElement} list */
function connect(card, list) {
  const count = Number(list.dataset.total);
  part(card, '.comments-count').textContent = String(count);
  part(card, '.comments-count + span').textContent = count === 1 ? 'comment' : 'comments';
  button(card).hidden = count === 0;
  button(card).setAttribute('aria-expanded', 'true');
  const again = async () => {
    if (await load(card)) part(card, '.comments').focus();
  };
  list.addEventListener('click', (event) => {
    const pressed = /** @type {HTMLElement | null} */ (
      /** @type {Element} */ (event.target).closest('[data-act]'));
    const item = /** @type {HTMLElement | null} */ (pressed?.closest('[data-comment]') ?? null);
    if (pressed?.dataset.act === 'more') void more(card, list, pressed);
    if (item && pressed?.dataset.act === 'edit') changing.edit(item, again);
    if (item && pressed?.dataset.act === 'remove') void changing.remove(item, pressed, again);
  });
}

/** Add the next comments to the list. @param {HTMLElement} card @param {HTMLElement} list @param {HTMLElement} pressed */
async function more(card, list, pressed) {
  try {
    const next = await read(card, Number(pressed.dataset.offset));
    const items = [...next.querySelectorAll('li')];
    part(list, 'ol').append(...items);
    const further = next.querySelector('[data-act=more]');
    if (further) pressed.replaceWith(further);
    else pressed.remove();
    list.focus();
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
}

/** @param {HTMLElement} card */
function button(card) {
  return part(card, '.comments-button');
}
