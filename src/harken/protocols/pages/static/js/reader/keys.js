/** Keyboard shortcuts. Those of one letter can be switched off (WCAG 2.1.4). */

import * as cards from './cards.js';
import * as contradicting from './actions/contradicting.js';
import { readAbove } from './reading/reading.js';
import { undoLatest } from './undoing.js';

const SETTING = 'harken.keys';
const WAIT_MS = 1_500;

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('keys'));
const links = () => [...document.querySelectorAll('#feeds a')];

/** @type {() => HTMLElement | null} the card that letters act on */
let current = cards.current;

/** The time until which a digit selects a feed, in milliseconds since 1970. */
let goUntil = 0;

/** @type {Record<string, string>} actions on the focused card */
const OF_CARD = {
  o: 'open', d: 'dismiss', w: 'why', c: 'contradict', e: 'edit', r: 'comment', y: 'copy',
  m: 'read', s: 'save', R: 'comments',
};

/** @type {Record<string, () => void>} */
const OF_PAGE = {
  j: () => cards.move(1),
  k: () => cards.move(-1),
  u: undoLatest,
  A: () => void readAbove(cards.current()),
  g: () => { goUntil = Date.now() + WAIT_MS; },
  f: () => focusFeeds(),
  '/': () => focusSearch(),
  '?': () => dialog.showModal(),
};

/**
 * Start to listen to the keyboard.
 * @param {(what: string, card: HTMLElement) => void} act performs an action on a card
 * @param {boolean} hasFeed whether there are cards
 * @param {() => HTMLElement | null} [find] the card that letters act on; default: the focused one
 */
export function start(act, hasFeed, find = cards.current) {
  current = find;
  const box = /** @type {HTMLInputElement} */ (document.getElementById('keys-on'));
  box.checked = localStorage.getItem(SETTING) !== 'off';
  box.addEventListener('change', () => localStorage.setItem(SETTING, box.checked ? 'on' : 'off'));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') contradicting.cancel();
    if (isTyped(event)) return;
    if (event.key === 'Enter') onEnter(event, act);
    else if (box.checked && onLetter(event.key, act, hasFeed)) event.preventDefault();
  });
}

/** Show the list of shortcuts. */
export function showKeys() {
  dialog.showModal();
}

/** @param {KeyboardEvent} event */
function isTyped(event) {
  const at = /** @type {HTMLElement} */ (event.target);
  return event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented
    || at.closest('input, textarea, select, dialog[open]') !== null;
}

/** Open the focused card; the key is ignored on elements within a card. @param {KeyboardEvent} event @param {Function} act */
function onEnter(event, act) {
  const card = cards.current();
  if (card === null || document.activeElement !== card) return;
  event.preventDefault();
  act(contradicting.isPicking() ? 'pick' : 'open', card);
}

/**
 * @param {string} key @param {(what: string, card: HTMLElement) => void} act
 * @param {boolean} hasFeed
 * @returns {boolean} whether the key is a shortcut
 */
function onLetter(key, act, hasFeed) {
  if (/^[1-9]$/.test(key) && Date.now() < goUntil) {
    /** @type {HTMLElement | undefined} */ (links()[Number(key) - 1])?.click();
    return true;
  }
  const card = hasFeed ? current() : null;
  if (key in OF_CARD && card !== null) act(OF_CARD[key], card);
  else if (key in OF_PAGE && (hasFeed || '/?gf'.includes(key))) OF_PAGE[key]();
  else return false;
  return true;
}

function focusSearch() {
  const box = /** @type {HTMLInputElement | null} */ (document.getElementById('search-q'));
  box?.focus();
  box?.select();
}

function focusFeeds() {
  const link = document.querySelector('#feeds [aria-current]') ?? links()[0];
  /** @type {HTMLElement | null} */ (link)?.focus();
}
