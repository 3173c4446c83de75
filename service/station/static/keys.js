// Shortcuts of single keys, which their user can turn off (WCAG 2.1.4).

const STORED = "glint-shortcuts";

const enabled = () => localStorage.getItem(STORED) !== "off";

/**
 * Act on single keys, unless they are typed into a field or held with Ctrl, Alt or Meta.
 * @param {Object<string, function(KeyboardEvent): void>} actions by `KeyboardEvent.key`, letters in lower case
 */
export function shortcuts(actions) {
  document.addEventListener("keydown", (event) => {
    if (!enabled() || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]") || event.target.closest("input:not([type=range], [type=radio], [type=checkbox]), select, textarea")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!Object.hasOwn(actions, key)) return;
    event.preventDefault();
    actions[key](event);
  });
}

/** Let a button open the list of shortcuts, and a checkbox in it turn them on and off. */
export function shortcutsDialog(button, dialog, checkbox) {
  checkbox.checked = enabled();
  button.addEventListener("click", () => dialog.showModal());
  checkbox.addEventListener("change", () => localStorage.setItem(STORED, checkbox.checked ? "on" : "off"));
}
