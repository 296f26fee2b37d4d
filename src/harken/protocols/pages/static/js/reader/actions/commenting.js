/** Commenting on a note. */

import { drafting } from './drafting.js';
import { part } from '../opening.js';
import { engage, tell, user } from '../session.js';

/** Ask for a comment, and record it. @param {HTMLElement} card */
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
    // The client keeps it from here on; what the server refuses is made a draft again.
    void tell(engage(card, 'comment', { text }), 'Your comment is recorded.');
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
