/** A panel of the page: it shows its content, a message that there is none, or an error. */

export class Panel {
  /** @param {string} id */
  constructor(id) {
    this.root = /** @type {HTMLElement} */ (document.getElementById(id));
    this._body = /** @type {HTMLElement | null} */ (this.root.querySelector('.body'));
    this._nothing = /** @type {HTMLElement} */ (this.root.querySelector('.nothing'));
    this._problem = /** @type {HTMLElement} */ (this.root.querySelector('.problem'));
  }

  /**
   * Load the content. If that fails, show the error and keep the present content.
   * @param {() => Promise<string | void>} work may return a message to show instead of the content
   */
  async fill(work) {
    try {
      const message = await work();
      this._nothing.replaceChildren(...marked(message ?? ''));
      this._nothing.hidden = !message;
      if (this._body) this._body.hidden = Boolean(message);
      this.problem('');
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.problem(error.message);
    }
  }

  /** @param {string} text */
  problem(text) {
    // Screen readers announce each assignment, so an unchanged text is not assigned again.
    if (this._problem.textContent !== text) this._problem.textContent = text;
  }

  /** Set the description of the window. @param {string} text */
  window(text) {
    for (const each of this.root.querySelectorAll('[data-window]')) each.textContent = text;
  }
}

/** @param {string} id @param {string} text */
export function setText(id, text) {
  const at = document.getElementById(id);
  if (at && at.textContent !== text) at.textContent = text;
}

/** Return text with its parts between backticks as code elements. @param {string} text @returns {(string | Node)[]} */
export function marked(text) {
  return text.split('`').map((part, i) => (
    i % 2 ? Object.assign(document.createElement('code'), { textContent: part }) : part
  ));
}
