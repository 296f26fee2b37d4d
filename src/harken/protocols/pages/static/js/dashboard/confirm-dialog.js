/** A confirmation dialog for actions that affect readers. */

import { actingDialog } from '../acting-dialog.js';

const { dialog, ask } = actingDialog('confirm');

/**
 * Ask for confirmation, then act. If that fails, the dialog stays open and shows the error.
 * A warning makes Cancel the button that stands out.
 * @param {{title: string, text: string, warning?: string, go: string, act: () => Promise<void>}} question
 */
export function confirm(question) {
  /** @type {HTMLElement} */ (document.getElementById('confirm-title')).textContent = question.title;
  /** @type {HTMLElement} */ (document.getElementById('confirm-text')).textContent = question.text;
  const warning = /** @type {HTMLElement} */ (document.getElementById('confirm-warning'));
  warning.textContent = question.warning ?? '';
  warning.hidden = !question.warning;
  dialog.querySelector('[data-go]')?.classList.toggle('primary', !question.warning);
  dialog.querySelector('[data-cancel]')?.classList.toggle('primary', Boolean(question.warning));
  ask(question.go, question.act);
}
