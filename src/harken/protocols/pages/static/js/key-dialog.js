/** The dialog that asks for the API key. */

/**
 * @param {string} problem the error of the previous key, empty at first
 * @returns {Promise<string>} the key that was typed
 */
export function askForKey(problem) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('key-form'));
  const dialog = /** @type {HTMLDialogElement} */ (
    /** @type {DocumentFragment} */ (template.content.cloneNode(true)).querySelector('dialog')
  );
  const input = /** @type {HTMLInputElement} */ (dialog.querySelector('input'));
  document.body.append(dialog);
  dialog.showModal();
  /** @type {HTMLElement} */ (dialog.querySelector('.problem')).textContent = problem;
  // The page is unusable without a key, so the dialog cannot be cancelled.
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  return new Promise((resolve) => {
    dialog.addEventListener('submit', () => {
      resolve(input.value.trim());
      dialog.remove();
    });
  });
}
