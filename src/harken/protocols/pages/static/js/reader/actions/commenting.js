/** Commenting on a note. */

import { drafting } from './drafting.js';
import { part } from '../card-content.js';
import { confirmRecorded, engage, user } from '../session.js';

/** Show the form for a comment, and record what is submitted. @param {HTMLElement} card */
export function comment(card) {
  const open = card.querySelector('.comment-form');
  if (open) {
    part(/** @type {HTMLElement} */ (open), 'textarea').focus();
    return;
  }
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('comment-form'));
  part(card, '.actions').after(template.content.cloneNode(true));
  const form = /** @type {HTMLFormElement} */ (card.querySelector('.comment-form'));
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
    void confirmRecorded(engage(card, 'comment', { text }), 'Your comment is recorded.');
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
