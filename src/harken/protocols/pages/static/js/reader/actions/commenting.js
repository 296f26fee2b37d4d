/** Commenting on a note. */

import { toast } from '../../toast.js';
import { part } from '../card-content.js';
import * as listing from '../comments/listing.js';
import { confirmRecorded, engage, isGuest, user } from '../session.js';
import { drafting } from './drafting.js';

/** Show the form for a comment, and record what is submitted. @param {HTMLElement} card */
export function comment(card) {
  if (isGuest) {
    toast('A guest cannot comment: choose a name.');
    return;
  }
  const open = card.querySelector('.comment-form:not(.comments *)');
  if (open) {
    part(/** @type {HTMLElement} */ (open), 'textarea').focus();
    return;
  }
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('comment-form'));
  part(card, '.actions').after(template.content.cloneNode(true));
  const form = /** @type {HTMLFormElement} */ (card.querySelector('.comment-form:not(.comments *)'));
  const field = /** @type {HTMLTextAreaElement} */ (form.querySelector('textarea'));
  const draft = drafting(form, { kind: 'comment', user, id: card.dataset.id ?? '' });
  const leave = () => {
    draft.leave();
    form.remove();
    card.focus();
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    // From here on, the client stores the comment; if the server refuses it, it is a draft again.
    const recording = engage(card, 'comment', { text });
    void confirmRecorded(recording, 'Your comment is recorded.');
    recording.then(() => listing.load(card), () => {});
    draft.forget();
    leave();
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') leave();
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  part(form, '[data-do=cancel]').addEventListener('click', leave);
  field.focus();
}
