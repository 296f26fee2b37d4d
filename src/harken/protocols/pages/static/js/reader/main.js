/** Entry point of the reader page: connects its buttons and links with their actions. */

import { comment } from './actions/commenting.js';
import * as contradicting from './actions/contradicting.js';
import { dismiss, showDismissed, undoListed } from './actions/dismissing.js';
import { edit } from './actions/editing.js';
import * as liking from './actions/liking.js';
import * as feed from './feed.js';
import * as keys from './keys.js';
import * as cardContent from './card-content.js';
import * as listing from './comments/listing.js';
import * as menus from './menus.js';
import * as profile from './profile.js';
import { engage, flushed } from './session.js';
import * as readerMenu from './reader-menu.js';
import * as counts from './reading/counts.js';
import { hideRead } from './reading/hiding.js';
import * as muting from './reading/muting.js';
import * as reading from './reading/reading.js';
import * as saving from './reading/saving.js';
import { signOut } from '../signing-in/sign-out.js';
import { ofKBlock } from './cards.js';
import * as tabs from './tabs.js';

const hasFeed = document.querySelector('.card') !== null;

/** @type {Record<string, (card: HTMLElement) => unknown>} */
const CARD_ACTIONS = {
  open,
  read: reading.toggle,
  save: saving.toggle,
  why: cardContent.why,
  copy: cardContent.copy,
  comment,
  comments: listing.toggle,
  edit: (card) => card.querySelector('[data-do=edit]') && edit(card),
  dismiss,
  contradict: contradicting.begin,
  pick: contradicting.pick,
  'more-like': liking.more,
  'less-like': liking.less,
  'like-set': liking.set,
  'like-undo': liking.undo,
  'like-cancel': liking.cancel,
};

/** @type {Record<string, (button: HTMLElement) => unknown>} */
const PAGE_ACTIONS = {
  more: () => feed.load(),
  'read-above': () => reading.readAbove(null),
  'hide-read': (box) => hideRead(/** @type {HTMLInputElement} */ (box)),
  reload: () => location.reload(),
  keys: () => keys.showKeys(),
  'reader-menu': () => menus.open('reader-menu'),
  dismissed: showDismissed,
  undismiss: (button) => undoListed(/** @type {HTMLElement} */ (button.closest('[data-id]'))),
  profile: profile.showProfile,
  personalized: (box) => profile.setPersonalized(/** @type {HTMLInputElement} */ (box).checked),
  mute: (button) => profile.mute(button.dataset.kind ?? '', button.dataset.name ?? ''),
  unmute: (button) => profile.unmute(button.dataset.kind ?? '', button.dataset.name ?? '', button.dataset.title),
  'mute-source': (button) => muting.mute('muted_sources', button.dataset.name ?? '', button.dataset.title),
  reset: profile.reset,
  interest: (button) => profile.setInterest(button.dataset.kind ?? '', button.dataset.name ?? '', button.dataset.value ?? ''),
  uncontradict: contradicting.cancel,
  'sign-out': () => flushed().then(signOut),
  close: (button) => /** @type {HTMLDialogElement} */ (button.closest('dialog')).close(),
};

document.addEventListener('click', (event) => {
  const at = /** @type {HTMLElement} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (at.closest('.content a[href], .attachments a[href]'));
  const card = /** @type {HTMLElement | null} */ (at.closest('.card'));
  if (link && card) engage(card, 'link', { href: link.href });
  const trigger = /** @type {HTMLElement | null} */ (at.closest('[data-do]'));
  if (trigger === null || isForNewTab(event, trigger)) return;
  const what = trigger.dataset.do ?? '';
  if (card && what in CARD_ACTIONS) {
    event.preventDefault();
    CARD_ACTIONS[what](card);
  } else {
    PAGE_ACTIONS[what]?.(trigger);
  }
});

document.addEventListener('copy', (event) => {
  const card = /** @type {Element} */ (event.target)?.closest?.('.card');
  if (card) cardContent.engageOnce(/** @type {HTMLElement} */ (card), 'copy');
});

/** Open or close a card; one that is opened is read. @param {HTMLElement} card */
function open(card) {
  if (cardContent.isClosed(card)) void reading.opened(card);
  return cardContent.toggle(card);
}

/** Return whether a click opens a link in a new tab or window. @param {MouseEvent} event @param {HTMLElement} trigger */
function isForNewTab(event, trigger) {
  return trigger.tagName === 'A' && (event.ctrlKey || event.metaKey || event.shiftKey);
}

/** Scroll the tab of the current feed into view, which may be hidden on a phone. */
function showCurrentTab() {
  const tab = /** @type {HTMLElement | null} */ (document.querySelector('#feeds [aria-current]'));
  const strip = tab?.closest('ul');
  if (tab && strip) strip.scrollLeft = tab.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
}

showCurrentTab();
menus.start();
feed.onMore(() => {
  contradicting.renew();
  void muting.apply();
});
reading.start(ofKBlock);
counts.refresh();
readerMenu.start();
tabs.start();
keys.start((what, card) => CARD_ACTIONS[what](card), hasFeed);
if (hasFeed) feed.start();

// Tests wait for this before they click.
document.documentElement.dataset.reader = 'ready';
