/** The content of cards: the full note, the explanation of its position, copying. */

import { json, request } from '../http.js';
import { toast } from '../toast.js';
import { engage, flushed, query } from './session.js';

/** The engagement types that are already recorded, by card. */
const counted = new WeakMap();

/**
 * Record an engagement, at most once for each card and type on this page.
 * @param {HTMLElement} card @param {string} type @param {Record<string, unknown>} [metadata]
 */
export function engageOnce(card, type, metadata) {
  const types = counted.get(card) ?? new Set();
  if (!types.has(type)) engage(card, type, metadata);
  counted.set(card, types.add(type));
}

/** @param {HTMLElement} card @returns {boolean} whether only its preview is shown */
export function isClosed(card) {
  return part(card, '.title').getAttribute('aria-expanded') !== 'true';
}

/** Show the full note in its card, or its preview again. @param {HTMLElement} card */
export async function toggle(card) {
  const link = part(card, '.title');
  const body = part(card, '.body');
  const preview = part(body, '.preview');
  if (link.getAttribute('aria-expanded') === 'true') {
    body.querySelector('.content')?.remove();
    preview.hidden = false;
    link.setAttribute('aria-expanded', 'false');
    if (card.getBoundingClientRect().top < 0) card.scrollIntoView({ block: 'start' });
    return;
  }
  link.setAttribute('aria-expanded', 'true');
  engageOnce(card, 'open');
  try {
    const content = await loadContent(card);
    // The card may have been closed meanwhile.
    if (link.getAttribute('aria-expanded') !== 'true') return;
    body.querySelector('.content')?.remove();
    body.append(content);
    preview.hidden = true;
  } catch (error) {
    link.setAttribute('aria-expanded', 'false');
    toast(/** @type {Error} */ (error).message);
  }
}

/** @param {HTMLElement} card @returns {Promise<HTMLElement>} the content of its K-Block */
async function loadContent(card) {
  const parameters = query({ id: card.dataset.id ?? '' });
  const parsed = document.createElement('template');
  parsed.innerHTML = await (await request(`/reader/content?${parameters}`)).text();
  return part(parsed.content, '.content');
}

/** Update a card after its note was changed. @param {HTMLElement} card @param {Api.KBlock} kblock */
export async function refresh(card, kblock) {
  if (card.id === 'note') {
    // The page of a note is rendered by the server alone.
    await flushed();
    location.reload();
    return;
  }
  part(card, '.title').textContent = kblock.title;
  part(card, '.preview').textContent = kblock.preview;
  if (part(card, '.title').getAttribute('aria-expanded') === 'true') {
    part(card, '.title').setAttribute('aria-expanded', 'false');
    void toggle(card);
  }
}

/** Show or hide the explanation of the position of a card. @param {HTMLElement} card */
export function why(card) {
  const button = part(card, '[data-do=why]');
  const shown = card.querySelector('.why');
  button.setAttribute('aria-expanded', String(!shown));
  if (shown) {
    shown.remove();
    button.focus();
    return;
  }
  const template = /** @type {HTMLTemplateElement} */ (card.querySelector('template'));
  part(card, '.actions').after(template.content.cloneNode(true));
  part(card, '.why').focus();
}

/**
 * Copy the title and the source text of a note.
 * @param {HTMLElement} card
 */
export async function copy(card) {
  try {
    const kblock = await json(`/api/kblocks/${encodeURIComponent(card.dataset.id ?? '')}`);
    await writeClipboard(`${kblock.title}\n\n${kblock.content}`.trim());
    engageOnce(card, 'copy');
    toast('Copied.');
  } catch (error) {
    toast(`Nothing was copied: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {string} text */
async function writeClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // The Clipboard API needs a secure context; execCommand works without one.
  const field = Object.assign(document.createElement('textarea'), { value: text });
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new Error('this browser does not allow copying');
}

/** @param {ParentNode} parent @param {string} selector @returns {HTMLElement} */
export function part(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}
