// Building blocks: elements (text is only ever text), words, numbers, highlights.

function h(kind, props = {}, ...children) {
  const node = document.createElement(kind);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "key") node.dataset.key = value;
    else if (name in node && !name.startsWith("aria") && name !== "list") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Draws what is in a region anew, and the keyboard's focus stays where it was: on the control with the same `key`. Where
// there is none any more, or it cannot be pressed now, the focus goes to `otherwise`, the view. A list that was used by
// mouse gives it to the view too, as a list takes letters for itself. A region without the focus takes none.
function redraw(region, parts, otherwise = region.closest(".wbr")?.querySelector(".view")) {
  const held = document.activeElement, inside = held !== region && region.contains(held);
  const key = inside && !held.matches("select:not(:focus-visible)") ? held.dataset.key : null, caret = held?.selectionStart;
  region.replaceChildren(...parts.filter(Boolean));
  if (!inside) return;
  const again = key && region.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (again) again.focus({ preventScroll: true });
  if (!again || document.activeElement !== again) otherwise.focus({ preventScroll: true });
  else if (typeof caret === "number") again.setSelectionRange(caret, caret);
}

// Shows the beginning of a view that shows something else now; on a low screen it is the whole page that scrolls.
function toTop(main) {
  main.scrollTop = 0;
  if (document.body.dataset.voila) scrollTo(0, 0);
}

function textOf(item) {
  return Object.values(item.fields).filter(Boolean).join(" | ");
}

// What names an item in a message: whole characters, no half ones.
function beginningOf(item) {
  return [...textOf(item)].slice(0, 120).join("");
}

function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

// The text with <mark> around every word for which `named` is true.
function markWords(text, named) {
  const parts = [];
  for (const piece of text.split(/([\p{L}\p{N}]+)/u)) {
    if (piece) parts.push(named(fold(piece)) ? h("mark", {}, piece) : piece);
  }
  return parts;
}

// The text with <mark> around every place where one of the folded words occurs, also inside a word.
function markPlaces(text, words) {
  const letters = [...text], origin = [];
  let folded = "";
  letters.forEach((letter, place) => { for (const plain of fold(letter)) { folded += plain; origin.push(place); } });
  const marked = new Array(letters.length).fill(false);
  for (const word of words) {
    for (let at = folded.indexOf(word); word && at >= 0; at = folded.indexOf(word, at + 1)) {
      for (let k = origin[at]; k <= origin[at + word.length - 1]; k++) marked[k] = true;
    }
  }
  const parts = [];
  letters.forEach((letter, place) => {
    if (place && marked[place] === marked[place - 1]) parts[parts.length - 1].text += letter;
    else parts.push({ text: letter, marked: marked[place] });
  });
  return parts.map((part) => (part.marked ? h("mark", {}, part.text) : part.text));
}

// The words that a reason names: those in quotes, or else all longer ones.
function namedWords(reason) {
  const quoted = [...reason.matchAll(/['"«“‘]([^'"»”’]+)['"»”’]/gu)].map((found) => found[1]);
  const words = fold((quoted.length ? quoted : [reason]).join(" ")).match(/[\p{L}\p{N}]+/gu) || [];
  return new Set(words.filter((word) => word.length > 2));
}

// A reason as it is shown: our own provider's sentences in the language of the page, a model's as the model wrote them.
function reasonOf(app, item) {
  if (!app.about.own_reasons || app.lang === "en") return item.reason;
  const known = Object.keys(app.texts).filter((name) => name.startsWith("reason_"));
  const ours = new Map(known.map((name) => [app.texts[name].en, app.texts[name][app.lang]]));
  const spoken = new RegExp([...ours.keys()].map((words) => `\\b${words}\\b`).join("|"), "g");
  return item.reason.split(/('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/).map((part, k) => (k % 2 ? part : part.replace(spoken, (words) => ours.get(words)))).join("");
}

function translator(texts, lang) {
  return (name, values = {}) =>
    (texts[name]?.[lang] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

function numbers(lang) {
  const place = lang === "es" ? "es-MX" : "en-US";
  const whole = new Intl.NumberFormat(place), compact = new Intl.NumberFormat(place, { notation: "compact", maximumFractionDigits: 1 });
  const money = new Intl.NumberFormat(place, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const share = new Intl.NumberFormat(place, { style: "percent", maximumFractionDigits: 0 });
  return {
    whole: (n) => whole.format(n ?? 0),
    money: (n) => (Math.abs(n) >= 1e6 ? compact : money).format(n),
    share: (n) => (n === null || n === undefined ? "–" : share.format(n)),
    score: (n) => (n === null || n === undefined ? "–" : n < 0 ? "−1" : n.toFixed(2)),
    range: (a) => (a && a.estimate !== null ? `${share.format(a.low)} – ${share.format(a.high)}` : "–"),
  };
}

// The Wilson interval of a share, 95 %: what metrics/numbers.py computes, for the share that runs along.
function wilson(right, n) {
  if (!n) return null;
  const z = 1.959964, p = right / n, middle = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return { estimate: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

// A number with its word, as "1 row" and "2 rows".
function count(app, word, n) {
  return app.t(n === 1 ? `${word}_one` : word, { n: app.n.whole(n) });
}

function bandOf(score) {
  return score === null || score === undefined || score < 0 ? "ambiguous" : score >= 0.7 ? "high" : score >= 0.4 ? "medium" : "low";
}

function scorePill(app, score) {
  const band = bandOf(score);
  return h("span", { class: `pill ${band}` }, `${app.n.score(score)} · ${app.t(`band_${band}`)}`);
}

function choice(app, value, options, props) {
  const node = h("select", props, options.map(([name, text]) => h("option", { value: name }, text)));
  node.value = value;
  return node;
}

// A table; columns of figures, but not of dates, stand on the right, each figure on one line. `sum` is one more row below.
function table(caption, head, rows, props = {}, sum = null) {
  const isFigure = (cell) => typeof cell === "string" && /^[\d.,%\s–−-]*$/.test(cell) && !/^\d{4}-\d\d-\d\d/.test(cell);
  const kinds = head.map((_, k) => (k && rows.every((cells) => isFigure(cells[k])) ? "figure" : null));
  const cellOf = (cell, k) => (k ? h("td", { class: kinds[k] }, cell) : h("th", { scope: "row" }, cell));
  return h("table", props,
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, head.map((cell, k) => h("th", { scope: "col", class: kinds[k] }, cell)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map(cellOf)))),
    sum && h("tfoot", {}, h("tr", {}, sum.map(cellOf))));
}
