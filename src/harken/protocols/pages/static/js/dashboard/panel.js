/** A part of the page: its content, or that there is none, or what went wrong. */

export class Panel {
  /** @param {string} id */
  constructor(id) {
    this.root = /** @type {HTMLElement} */ (document.getElementById(id));
    this._body = /** @type {HTMLElement | null} */ (this.root.querySelector('.body'));
    this._nothing = /** @type {HTMLElement} */ (this.root.querySelector('.nothing'));
    this._problem = /** @type {HTMLElement} */ (this.root.querySelector('.problem'));
  }

  /**
   * Fill it. Where that fails, say why, and leave what is there.
   * @param {() => Promise<string | void>} work returns what to say instead of showing the content
   */
  async fill(work) {
    try {
      const nothing = await work();
      this._nothing.replaceChildren(...marked(nothing ?? ''));
      this._nothing.hidden = !nothing;
      if (this._body) this._body.hidden = Boolean(nothing);
      this.problem('');
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.problem(error.message);
    }
  }

  /** @param {string} text */
  problem(text) {
    // What is read out is only said again when it changes.
    if (this._problem.textContent !== text) this._problem.textContent = text;
  }

  /** Say what is counted. @param {string} text */
  window(text) {
    for (const each of this.root.querySelectorAll('[data-window]')) each.textContent = text;
  }
}

/** @param {string} id @param {string} text */
export function say(id, text) {
  const at = document.getElementById(id);
  if (at && at.textContent !== text) at.textContent = text;
}

/** What stands between backticks is code. @param {string} text @returns {(string | Node)[]} */
export function marked(text) {
  return text.split('`').map((part, i) => (
    i % 2 ? Object.assign(document.createElement('code'), { textContent: part }) : part
  ));
}
