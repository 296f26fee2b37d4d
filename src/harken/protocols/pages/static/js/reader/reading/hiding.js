/** Hiding what was read, in all feeds of the user. */

import { json } from '../../http.js';
import { toast } from '../../toast.js';
import { user } from '../session.js';
import { send } from './reading.js';

const path = `/api/users/${encodeURIComponent(user)}/preferences`;

/** Set whether feeds leave out what was read, and load the feed anew. @param {HTMLInputElement} box */
export async function hideRead(box) {
  box.disabled = true;
  try {
    await send();
    const known = await json(path);
    await json(path, { method: 'PUT', body: { ...known, hide_read: box.checked } });
    location.reload();
  } catch (error) {
    box.checked = !box.checked;
    box.disabled = false;
    toast(/** @type {Error} */ (error).message);
  }
}
