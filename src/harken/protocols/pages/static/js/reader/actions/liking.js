/** "More like this" and "Less like this": what will change is said first, and can be undone. */

import { json, request } from '../../http.js';
import { toast } from '../../toast.js';
import { flushed, query, user } from '../session.js';

const path = `/api/users/${encodeURIComponent(user)}/preferences`;

/** Say what "more like this" would change. @param {HTMLElement} card */
export const more = (card) => ask(card, 'more');

/** Say what "less like this" would change. @param {HTMLElement} card */
export const less = (card) => ask(card, 'less');

/** @param {HTMLElement} card @param {'more' | 'less'} direction */
async function ask(card, direction) {
  const place = part(card, '.liking');
  const ranking = document.getElementById('feed')?.dataset.ranking ?? '';
  try {
    // Recent events must be recorded first, so that the server knows what is learned from them.
    await flushed();
    const parameters = query({ id: card.dataset.id ?? '', direction, ranking });
    place.innerHTML = await (await request(`/reader/like?${parameters}`)).text();
    /** @type {HTMLElement | null} */ (place.querySelector('[data-do=like-set]'))?.focus();
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
}

/** Store what was asked for. @param {HTMLElement} card */
export async function set(card) {
  const holder = part(card, '.liking [data-after]');
  const { before = '{}', after = '{}' } = holder.dataset;
  if (await store(after)) {
    part(card, '.liking').replaceChildren(...said(before));
    part(card, '.liking button').focus();
  }
}

/** Take it back. @param {HTMLElement} card */
export async function undo(card) {
  const holder = part(card, '.liking [data-before]');
  if (await store(holder.dataset.before ?? '{}')) {
    cancel(card);
    toast('Your interests are as they were.');
  }
}

/** Leave it as it is. @param {HTMLElement} card */
export function cancel(card) {
  part(card, '.liking').replaceChildren();
  part(card, '[data-do=more-like]').focus();
}

/** @param {string} interests JSON @returns {Promise<boolean>} whether they are stored */
async function store(interests) {
  try {
    // Other preferences may have changed meanwhile.
    const known = await json(path);
    await json(path, { method: 'PUT', body: { ...known, interests: JSON.parse(interests) } });
    return true;
  } catch (error) {
    toast(`Nothing was changed: ${/** @type {Error} */ (error).message}`);
    return false;
  }
}

/** @param {string} before JSON @returns {HTMLElement[]} what is said when it is done */
function said(before) {
  const text = Object.assign(document.createElement('p'), {
    textContent: 'Done. Your next page shows it.',
  });
  const row = Object.assign(document.createElement('p'), { className: 'row' });
  row.dataset.before = before;
  row.append(button('Undo', 'like-undo'), button('Next page', 'reload'));
  return [text, row];
}

/** @param {string} label @param {string} act */
function button(label, act) {
  const made = Object.assign(document.createElement('button'), {
    type: 'button', textContent: label,
  });
  made.dataset.do = act;
  return made;
}

/** @param {ParentNode} parent @param {string} selector @returns {HTMLElement} */
function part(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}
