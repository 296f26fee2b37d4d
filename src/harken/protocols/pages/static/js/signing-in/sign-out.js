/** Signing out: the server deletes the cookie, which no script can read. */

import { root } from '../http.js';
import { toast } from '../toast.js';

/** Sign out, and go to the page that says so. */
export async function signOut() {
  try {
    const answer = await fetch(`${root}/sign-out`, { method: 'POST' });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}.`);
    location.replace(`${root}/sign-in?out`);
  } catch (error) {
    const reason = error instanceof TypeError ? 'the server does not answer.' : String(error);
    toast(`You are still signed in: ${reason.replace('Error: ', '')}`);
  }
}
