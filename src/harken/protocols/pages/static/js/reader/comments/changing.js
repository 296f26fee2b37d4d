/** Editing and removing one's own comment. The log keeps what was first written. */

import { Refused, json } from '../../http.js';
import { toast } from '../../toast.js';
import { drafting } from '../actions/drafting.js';
import { part } from '../card-content.js';
import { user } from '../session.js';

/**
 * Show a form in place of a comment.
 * @param {HTMLElement} item @param {() => unknown} again loads the list again
 */
export function edit(item, again) {
  const known = item.querySelector('form');
  if (known) {
    part(known, 'textarea').focus();
    return;
  }
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('comment-form'));
  const said = part(item, '.said');
  said.after(template.content.cloneNode(true));
  const form = /** @type {HTMLFormElement} */ (item.querySelector('.comment-form'));
  const field = /** @type {HTMLTextAreaElement} */ (form.querySelector('textarea'));
  field.value = field.defaultValue = said.textContent ?? '';
  field.maxLength = 16_000;
  part(form, '.primary').textContent = 'Save';
  const place = { kind: 'comment-edit', user, id: item.dataset.comment ?? '' };
  const draft = drafting(form, place, item.dataset.edited);
  said.hidden = part(item, '.own').hidden = true;
  const leave = () => {
    draft.leave();
    form.remove();
    said.hidden = part(item, '.own').hidden = false;
    part(item, '[data-act=edit]').focus();
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    draft.flush();
    try {
      const body = { user_id: user, text: field.value };
      await json(path(item), { method: 'PATCH', body });
      draft.forget();
      toast('Your comment is changed.');
      again();
    } catch (error) {
      toast(`${/** @type {Error} */ (error).message} Your text is still here.`);
    }
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') leave();
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  part(form, '[data-do=cancel]').addEventListener('click', leave);
  field.focus();
}

/**
 * Remove a comment; the button asks first, since it cannot be undone.
 * @param {HTMLElement} item @param {HTMLElement} button @param {() => unknown} again
 */
export async function remove(item, button, again) {
  if (button.dataset.sure === undefined) {
    button.dataset.sure = '';
    button.textContent = 'Remove for good?';
    button.addEventListener('blur', () => {
      delete button.dataset.sure;
      button.textContent = 'Remove';
    }, { once: true });
    return;
  }
  try {
    await json(`${path(item)}?${new URLSearchParams({ user_id: user })}`, { method: 'DELETE' });
    toast('Your comment is removed.');
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
    if (!(error instanceof Refused && error.status === 404)) return;
  }
  again();
}

/** @param {HTMLElement} item */
function path(item) {
  return `/api/comments/${encodeURIComponent(item.dataset.comment ?? '')}`;
}
