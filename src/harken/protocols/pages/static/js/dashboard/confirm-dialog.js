/** A confirmation dialog for actions that affect readers. */

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('confirm'));
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
const problem = /** @type {HTMLElement} */ (dialog.querySelector('.problem'));
const go = /** @type {HTMLButtonElement} */ (dialog.querySelector('[data-go]'));

/** @type {() => Promise<void>} */
let act = async () => undefined;

dialog.querySelector('[data-cancel]')?.addEventListener('click', () => dialog.close());
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  go.disabled = true;
  problem.textContent = '';
  try {
    await act();
    dialog.close();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    problem.textContent = error.message;
  } finally {
    go.disabled = false;
  }
});

/**
 * Ask for confirmation, then act. If that fails, the dialog stays open and shows the error.
 * @param {{title: string, text: string, go: string, act: () => Promise<void>}} question
 */
export function confirm(question) {
  /** @type {HTMLElement} */ (document.getElementById('confirm-title')).textContent = question.title;
  /** @type {HTMLElement} */ (document.getElementById('confirm-text')).textContent = question.text;
  problem.textContent = '';
  go.textContent = question.go;
  act = question.act;
  dialog.showModal();
}
