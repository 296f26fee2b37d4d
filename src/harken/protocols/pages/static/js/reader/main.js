/** The reader: what its buttons and links do. */

import { comment } from './actions/commenting.js';
import * as contradicting from './actions/contradicting.js';
import { dismiss, showDismissed, undoListed } from './actions/dismissing.js';
import { edit } from './actions/editing.js';
import * as feed from './feed.js';
import * as keys from './keys.js';
import * as opening from './opening.js';
import * as profile from './profile.js';
import { engage } from './session.js';
import * as who from './who.js';

const hasFeed = document.querySelector('.card') !== null;

/** @type {Record<string, (card: HTMLElement) => unknown>} */
const WITH_CARD = {
  open: opening.toggle,
  why: opening.why,
  copy: opening.copy,
  comment,
  edit,
  dismiss,
  contradict: contradicting.begin,
  pick: contradicting.pick,
};

/** @type {Record<string, (button: HTMLElement) => unknown>} */
const ALONE = {
  more: () => feed.load(),
  reload: () => location.reload(),
  keys: () => keys.showKeys(),
  who: () => openMenu('who'),
  dismissed: showDismissed,
  undismiss: (button) => undoListed(/** @type {HTMLElement} */ (button.closest('[data-id]'))),
  profile: profile.showProfile,
  personalized: (box) => profile.setPersonalized(/** @type {HTMLInputElement} */ (box).checked),
  mute: (button) => profile.mute(button.dataset.kind ?? '', button.dataset.name ?? ''),
  unmute: (button) => profile.unmute(button.dataset.kind ?? '', button.dataset.name ?? ''),
  reset: profile.reset,
  uncontradict: contradicting.cancel,
  close: (button) => /** @type {HTMLDialogElement} */ (button.closest('dialog')).close(),
};

document.addEventListener('click', (event) => {
  const at = /** @type {HTMLElement} */ (event.target);
  closeMenus(at);
  const link = /** @type {HTMLAnchorElement | null} */ (at.closest('.content a[href]'));
  const card = /** @type {HTMLElement | null} */ (at.closest('.card'));
  if (link && card) engage(card, 'link', { href: link.href });
  const doer = /** @type {HTMLElement | null} */ (at.closest('[data-do]'));
  if (doer === null || isForNewTab(event, doer)) return;
  const what = doer.dataset.do ?? '';
  if (card && what in WITH_CARD) {
    event.preventDefault();
    WITH_CARD[what](card);
  } else {
    ALONE[what]?.(doer);
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') closeMenus(null);
});

document.addEventListener('copy', (event) => {
  const card = /** @type {Element} */ (event.target)?.closest?.('.card');
  if (card) opening.engageOnce(/** @type {HTMLElement} */ (card), 'copy');
});

/** A link that is opened elsewhere keeps its way. @param {MouseEvent} event @param {HTMLElement} doer */
function isForNewTab(event, doer) {
  return doer.tagName === 'A' && (event.ctrlKey || event.metaKey || event.shiftKey);
}

/** On a phone not all tabs are in view. */
function showCurrentTab() {
  const tab = /** @type {HTMLElement | null} */ (document.querySelector('#feeds [aria-current]'));
  const strip = tab?.closest('ul');
  if (tab && strip) strip.scrollLeft = tab.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
}

/** @param {string} id */
function openMenu(id) {
  const menu = /** @type {HTMLDetailsElement} */ (document.getElementById(id));
  menu.open = true;
  /** @type {HTMLElement | null} */ (menu.querySelector('input'))?.focus();
}

/** Close menus that something outside of them was done beside. @param {Element | null} at */
function closeMenus(at) {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (at && menu.contains(at)) continue;
    const had = menu.contains(document.activeElement);
    /** @type {HTMLDetailsElement} */ (menu).open = false;
    if (had && at === null) menu.querySelector('summary')?.focus();
  }
}

showCurrentTab();
feed.onMore(contradicting.renew);
who.start();
keys.start((what, card) => WITH_CARD[what](card), hasFeed);
if (hasFeed) feed.start();

// For whoever waits until what is clicked does something.
document.documentElement.dataset.reader = 'ready';
