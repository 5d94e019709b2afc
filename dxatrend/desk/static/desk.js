// Two comforts that no page depends on: a page that asks for it refreshes itself, and tables can be sorted.
"use strict";

const refreshed = "dxatrend-refresh";

function busy(main) {
  const inside = document.activeElement && main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  const chosen = main.querySelector("input[type=checkbox]:checked, details[open], dialog[open]");
  return Boolean(inside || chosen || String(document.getSelection()) || document.hidden);
}

async function refresh(main) {
  if (busy(main)) return main;
  const answer = await fetch(location.href, { headers: { [refreshed]: "1" }, redirect: "manual" });
  if (answer.status === 401 || answer.status === 403) { location.reload(); return main; }
  if (!answer.ok || busy(main)) return main;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh) return main;
  const focused = document.activeElement && main.contains(document.activeElement) ? document.activeElement.id : "";
  main.replaceWith(fresh);
  const foot = document.querySelector("footer.bottom");
  const newFoot = page.querySelector("footer.bottom");
  if (foot && newFoot) foot.replaceWith(newFoot);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  prepare(fresh);
  return fresh;
}

function keepFresh(main) {
  const seconds = Number(main.dataset.refresh);
  if (!seconds) return;
  setTimeout(() => refresh(main).catch(() => main).then(keepFresh), seconds * 1000);
}

function sortBy(table, column, descending) {
  const body = table.tBodies[0];
  const value = (row) => row.cells[column]?.dataset.sort ?? row.cells[column]?.textContent.trim() ?? "";
  const rows = Array.from(body.rows).sort((a, b) => value(a).localeCompare(value(b), undefined, { numeric: true }));
  body.append(...(descending ? rows.reverse() : rows));
}

function prepare(root) {
  for (const table of root.querySelectorAll("table[data-sortable]")) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const descending = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sortBy(table, column, descending);
      });
    });
  }
}

prepare(document);
keepFresh(document.getElementById("main"));
