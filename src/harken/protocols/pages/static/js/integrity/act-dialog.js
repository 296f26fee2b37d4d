/** The dialog that asks for the reason of an act, and for whom it holds. */

import { actingDialog } from '../acting-dialog.js';

const { ask } = actingDialog('act');
const reason = /** @type {HTMLInputElement} */ (document.getElementById('act-reason'));
const members = /** @type {HTMLElement} */ (document.getElementById('act-members'));
const large = /** @type {HTMLElement} */ (document.getElementById('act-confirm'));

/**
 * @typedef {{ids: string[], reason: string, confirm: boolean}} Answer
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} go the label of the button that acts
 * @property {string[]} [members] ids to choose from; all are chosen at first
 * @property {string} [reason] the reason that is suggested
 * @property {boolean} [isLarge] whether to offer the confirmation of an act on much of the log
 * @property {(answer: Answer) => Promise<void>} act
 */

/**
 * Ask a person, then act. If that fails, the dialog stays open and shows the error.
 * @param {Question} question
 */
export function askToAct(question) {
  text('act-title', question.title);
  text('act-text', question.text);
  reason.value = (question.reason ?? '').slice(0, reason.maxLength);
  const ids = question.members ?? [];
  members.hidden = ids.length === 0;
  /** @type {HTMLElement} */ (members.querySelector('.members')).replaceChildren(...ids.map(choice));
  large.hidden = !question.isLarge;
  /** @type {HTMLInputElement} */ (large.querySelector('input')).checked = false;
  ask(question.go, async () => {
    const confirm = /** @type {HTMLInputElement} */ (large.querySelector('input')).checked;
    await question.act({ ids: chosen(), reason: reason.value.trim(), confirm });
  });
  reason.focus();
}

function chosen() {
  const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (members.querySelectorAll('input:checked'));
  return [...boxes].map((box) => box.value);
}

/** @param {string} id */
function choice(id) {
  const label = document.createElement('label');
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', value: id, checked: true });
  label.append(box, Object.assign(document.createElement('span'), { textContent: id }));
  return label;
}

/** @param {string} id @param {string} said */
function text(id, said) {
  /** @type {HTMLElement} */ (document.getElementById(id)).textContent = said;
}
