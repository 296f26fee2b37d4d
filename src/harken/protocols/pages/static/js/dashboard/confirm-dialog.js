/** A confirmation dialog for actions that affect readers. */

import { actingDialog } from '../acting-dialog.js';

const { ask } = actingDialog('confirm');

/**
 * Ask for confirmation, then act. If that fails, the dialog stays open and shows the error.
 * @param {{title: string, text: string, go: string, act: () => Promise<void>}} question
 */
export function confirm(question) {
  /** @type {HTMLElement} */ (document.getElementById('confirm-title')).textContent = question.title;
  /** @type {HTMLElement} */ (document.getElementById('confirm-text')).textContent = question.text;
  ask(question.go, question.act);
}
