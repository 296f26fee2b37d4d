/** A dialog that asks a person, then acts. If that fails, it stays open and shows the error. */

/**
 * Connect a dialog of the page; returns how to open it.
 * @param {string} id
 * @returns {{dialog: HTMLDialogElement, ask: (label: string, act: () => Promise<void>) => void}}
 */
export function actingDialog(id) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById(id));
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
  const problem = /** @type {HTMLElement} */ (dialog.querySelector('.problem'));
  const go = /** @type {HTMLButtonElement} */ (dialog.querySelector('[data-go]'));
  /** @type {() => Promise<void>} */
  let doIt = async () => undefined;

  dialog.querySelector('[data-cancel]')?.addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    problem.textContent = '';
    try {
      await doIt();
      dialog.close();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      problem.textContent = error.message;
    } finally {
      go.disabled = false;
    }
  });

  return {
    dialog,
    ask(label, act) {
      problem.textContent = '';
      go.textContent = label;
      doIt = act;
      dialog.showModal();
    },
  };
}
