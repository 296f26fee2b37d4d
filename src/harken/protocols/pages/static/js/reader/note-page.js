/** The page of one note: its actions, comments and similar notes; its views and links are recorded. */

import { request } from '../http.js';
import { toast } from '../toast.js';
import * as choosing from './actions/choosing.js';
import { comment } from './actions/commenting.js';
import { dismissHere } from './actions/dismissing.js';
import { edit } from './actions/editing.js';
import * as liking from './actions/liking.js';
import * as cardContent from './card-content.js';
import * as cards from './cards.js';
import * as listing from './comments/listing.js';
import * as keys from './keys.js';
import * as menus from './menus.js';
import * as muting from './reading/muting.js';
import * as reading from './reading/reading.js';
import * as saving from './reading/saving.js';
import { client, engage, flushed, query } from './session.js';

const note = /** @type {HTMLElement} */ (document.getElementById('note'));
const id = note.dataset.id ?? '';

/** @type {Record<string, (button: HTMLElement | null) => unknown>} */
const ACTIONS = {
  read: () => reading.toggle(note),
  save: () => saving.toggle(note),
  comment: () => comment(note),
  comments: () => listing.toggle(note),
  copy: () => cardContent.copy(note),
  edit: () => edit(note),
  contradict: () => choosing.ask(note),
  dismiss: () => dismissHere(note, note.querySelector('h1')?.textContent ?? ''),
  why: () => why(),
  'more-like': () => liking.more(note),
  'less-like': () => liking.less(note),
  'like-set': () => liking.set(note),
  'like-undo': () => liking.undo(note),
  'like-cancel': () => liking.cancel(note),
  mute: (button) => muting.mute(button?.dataset.kind ?? '', button?.dataset.name ?? ''),
  reload: () => location.reload(),
  close: (button) => button?.closest('dialog')?.close(),
};

reading.start((viewed) => (viewed === id ? note : undefined));
client.observe(note, id);
listing.start(note);
menus.start();
keys.start(act, true, () => cards.current() ?? note);

document.addEventListener('click', (event) => {
  const at = /** @type {Element} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (at.closest('#note .content a[href], #note .attachments a[href]'));
  if (link) engage(note, 'link', { href: link.href });
  const pressed = /** @type {HTMLElement | null} */ (at.closest('[data-do]'));
  ACTIONS[pressed?.dataset.do ?? '']?.(pressed);
});

document.addEventListener('copy', (event) => {
  const at = /** @type {Element} */ (event.target);
  if (at.closest?.('#note')) cardContent.engageOnce(note, 'copy');
});

/** What a key does; a similar note can be opened only. @param {string} what @param {HTMLElement} card */
function act(what, card) {
  if (card === note) ACTIONS[what]?.(null);
  else if (what === 'open') /** @type {HTMLElement} */ (card.querySelector('.title')).click();
}

/** Show how the user's interests bear on the note, or hide it. */
async function why() {
  const button = note.querySelector('[data-do=why]');
  const shown = note.querySelector('.why');
  button?.setAttribute('aria-expanded', String(!shown));
  if (shown) {
    shown.remove();
    return;
  }
  try {
    await flushed();
    const parsed = document.createElement('template');
    parsed.innerHTML = await (await request(`/reader/why?${query({ id })}`)).text();
    const section = cardContent.part(parsed.content, '.why');
    note.querySelector('.taste')?.after(section);
    section.focus();
  } catch (error) {
    button?.setAttribute('aria-expanded', 'false');
    toast(/** @type {Error} */ (error).message);
  }
}

async function showSimilar() {
  const section = /** @type {HTMLElement} */ (document.getElementById('similar'));
  try {
    const parsed = document.createElement('template');
    parsed.innerHTML = await (await request(`/reader/similar?${query({ id })}`)).text();
    section.append(cardContent.part(parsed.content, '.similar'));
    section.hidden = false;
  } catch {
    // The note can be read without them.
  }
}

void showSimilar();

// Tests wait for this before they click.
document.documentElement.dataset.reader = 'ready';
