// The judgement that was made last in this tab, so that it can be undone from the next page.

import { send, url } from "./page.js";

const STORED = "glint-last-judgement";

export const operatorName = () => localStorage.getItem("glint-operator") ?? "";
export const keepOperator = (name) => localStorage.setItem("glint-operator", name);

export const last = () => JSON.parse(sessionStorage.getItem(STORED) ?? "null");
export const remember = (judgement) => sessionStorage.setItem(STORED, JSON.stringify(judgement));
export const forget = () => sessionStorage.removeItem(STORED);

/** Undo it and go to its part; gives the problem's detail if that is not possible any more. */
export async function undoLast(query) {
  const undone = last();
  const order = { decision: "undo", operator: undone.operator, supersedes: undone.id };
  const answer = await send(`/inspections/${undone.inspection}/judgements`, { json: order });
  if (!answer.ok && answer.status !== 409) return (await answer.json()).detail;
  forget();
  location.assign(url(`/station/review/${undone.inspection}${query}`));
  return "";
}
