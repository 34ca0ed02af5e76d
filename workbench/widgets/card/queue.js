// Queue: one item at a time. Nothing can be decided while a decision is on its way.

const PER_PAGE = 9, UNREAD = 400;

// The categories that match what is typed, the best first: the name itself, how it begins, how a word of it begins, what
// is in it, and last what is in its description.
function shownCategories(app) {
  const typed = fold(app.typed.trim());
  if (!typed) return app.about.categories;
  const rank = ({ name, description }) => {
    const folded = fold(name), words = ` ${folded.replace(/[^\p{L}\p{N}]+/gu, " ")}`;
    const fits = [folded === typed, folded.startsWith(typed), words.includes(` ${typed}`), folded.includes(typed), typed.length > 3 && fold(description).includes(typed)];
    return fits.indexOf(true);
  };
  return app.about.categories.filter((one) => rank(one) >= 0).sort((one, other) => rank(one) - rank(other));
}

// Sends again what an earlier page could not: the same keys, so nothing counts twice. Until all have their answers the
// item may change by itself, so nothing can be decided.
function sendKept(app) {
  const kept = app.wire.unsent();
  let left = kept.length;
  const waits = () => app.busy(left ? { left } : null);
  waits();
  kept.forEach((message) => app.wire.post(message, (reply) => {
    left -= 1;
    if (reply.outcome) {
      app.say(app.t(reply.outcome === "stale" ? "kept_stale" : "kept_stored", { text: message.text || "" }));
      queueShow(app, reply);
    }
    waits();
  }));
}

function queueShow(app, reply) {
  app.busy(null);
  if ("item" in reply) { app.item = reply.item; app.page = 0; app.typed = ""; app.note = {}; }
  if (reply.progress) app.progress = reply.progress;
  if (app.view === "queue") app.draw();
}

function decide(app, verdict, category = null) {
  if (app.pending || !app.item) return;
  if (verdict === "accept" && !app.item.category) return app.say(app.t("choose_first"));
  const { item_id: item, rev, category: said } = app.item;
  app.busy({ item });
  const notes = app.note.text || "", text = beginningOf(app.item);
  app.wire.keep("decide", { item, rev, verdict, category, notes, text, filters: app.filters }, (reply) => {
    if (reply.error) { app.busy(null); return; }
    if (reply.outcome === "stored") app.stamps.push(Date.now());
    app.told = reply.revealed ? app.t("model_said", reply.revealed) : "";
    queueShow(app, reply);
    const words = { stale: "was_stale", stored: `said_${verdict}`, known: "said_known" };
    app.say([app.t(words[reply.outcome], { category: category || said || "" }), app.told, where(app)].filter(Boolean).join(" "), aloud(app));
  });
}

function move(app, step) {
  if (app.pending) return;
  const noted = app.item && app.wire.noteOf(app.item.item_id), waits = noted && noted !== app.item.noted ? app.t("note_waits") : "";
  app.busy({ step });
  app.wire.send("go", { step, item: app.item?.item_id || null, filters: app.filters }, (reply) => {
    if (!reply.error && reply.item === null && step < 0) { app.busy(null); app.say(app.t("no_earlier")); return; }
    queueShow(app, reply);
    app.say(waits, aloud(app));
  });
}

function undo(app) {
  if (app.pending) return;
  app.busy({ undo: true });
  app.wire.send("undo", {}, (reply) => {
    queueShow(app, reply);
    if (!reply.error) app.say(app.t(reply.undone ? "undone" : app.progress.mine ? "only_ten" : "nothing_to_undo", { n: reply.undone }), reply.item && aloud(app));
    app.drawn.again?.();
  });
}

function where(app) {
  return app.t("where", { done: app.n.whole(app.progress.done), asked: app.n.whole(app.progress.asked) });
}

// What a screen reader says of the item that shows now, without being asked.
function aloud(app) {
  const { item } = app;
  if (app.view !== "queue" || !item) return "";
  return `${textOf(item)}. ${item.category ? `${app.t("model_says")}: ${item.category}.` : app.t("choose_first")}`;
}

function filtered(app, change) {
  app.filters = { ...app.filters, ...change };
  app.wire.send("filter", { filters: app.filters }, (reply) => queueShow(app, reply));
}

function pace(app) {
  const recent = app.stamps.filter((at) => Date.now() - at < 600000);
  if (recent.length < 3) return null;
  const perMinute = ((recent.length - 1) * 60000) / Math.max(recent[recent.length - 1] - recent[0], 1000);
  return { perMinute, left: Math.ceil((app.progress.asked - app.progress.done) / perMinute) };
}

function strip(app) {
  const { asked, done, judged, correct, mine } = app.progress, speed = pace(app), right = wilson(correct, judged);
  const figure = (value, text, title) => h("span", { class: "figure", title: title || null }, h("b", {}, value), ` ${text}`);
  return h("div", { class: "strip" },
    h("progress", { max: Math.max(asked, 1), value: done, "aria-label": app.t("progress") }),
    figure(`${app.n.whole(done)} / ${app.n.whole(asked)}`, app.t("done")),
    figure(app.n.whole(mine), app.t("by_you")),
    speed && figure(speed.perMinute.toFixed(1), app.t("per_minute")),
    speed && figure(`${app.n.whole(speed.left)} min`, app.t("left")),
    right && figure(app.n.share(right.estimate), `${app.t("right_so_far")} (${app.n.range(right)})`, app.t("right_hint")),
    h("button", {
      class: "quiet more", key: "filters", "aria-expanded": String(!!app.filtering), onclick: () => { app.filtering = !app.filtering; app.draw(); },
    }, app.t(active(app) ? "filters_n" : "filters", { n: active(app) })));
}

function active(app) {
  const usual = { show: "open", order: "sampled" };
  return Object.entries(app.filters).filter(([name, value]) => value && value !== usual[name]).length;
}

function filterRow(app) {
  if (!app.filtering) return h("div", { class: "filters" });
  const f = app.filters, t = app.t;
  const pick = (name, text, options) => h("label", {}, h("span", {}, text),
    choice(app, f[name] || options[0][0], options, { key: `by-${name}`, onchange: (event) => filtered(app, { [name]: event.target.value }) }));
  const flag = (name) => h("label", { class: "flag" },
    h("input", { type: "checkbox", key: `by-${name}`, checked: !!f[name], onchange: (event) => filtered(app, { [name]: event.target.checked }) }), t(`only_${name}`));
  return h("div", { class: "filters", role: "group", "aria-label": t("filters") },
    pick("show", t("show"), ["open", "mine", "unsure", "all"].map((name) => [name, t(`show_${name}`)])),
    pick("category", t("category"), [["", t("any")], ...app.about.categories.map(({ name }) => [name, name])]),
    pick("band", t("band"), [["", t("any")], ...["high", "medium", "low", "ambiguous"].map((name) => [name, t(`band_${name}`)])]),
    h("label", {}, h("span", {}, t("keyword")),
      h("input", {
        type: "search", key: "by-keyword", value: f.keyword || "", onchange: (event) => filtered(app, { keyword: event.target.value }),
        onkeydown: (event) => { if (event.key === "Enter") event.target.closest(".view").focus(); },
      })),
    pick("order", t("order"), ["sampled", "score", "rows", "money"].map((name) => [name, t(`order_${name}`)])),
    flag("changed"), flag("disputed"));
}

function covers(app, item) {
  const facts = [count(app, "covers", item.n_rows)];
  if (item.amount !== null && item.amount !== undefined) facts.push(`${app.about.amount || app.t("amount")} ${app.n.money(item.amount)}`);
  return h("p", { class: "covers" }, facts.join(" · "));
}

// Rows of an item outside the sample are laid out once somebody looks at it: until then, ask again every second.
function comingRows(app, item, tries = 30) {
  const place = h("p", { class: "quiet-text coming", role: "status" }, app.t("rows_coming"));
  const ask = () => app.item === item && place.isConnected && app.wire.send("open", { item: item.item_id }, ({ item: found }) => {
    if (!found?.rows && tries--) { setTimeout(ask, 1000); return; }
    Object.assign(item, { columns: found?.columns, rows: found?.rows || [], summary: found?.summary });
    place.replaceWith(originals(app, item) || "");
  });
  setTimeout(ask, 700);
  return place;
}

function originals(app, item) {
  if (!item.rows) return comingRows(app, item);
  if (!item.rows.length) return null;
  const more = item.n_rows > item.rows.length ? app.t("first_rows", { n: item.rows.length, of: app.n.whole(item.n_rows) }) : app.t("all_rows");
  const sum = item.summary?.length ? item.summary.map((text, k) => (k ? text : `Σ ${text}`)) : null;
  const grid = table(more, item.columns, item.rows, {}, sum);
  return h("details", { class: "rows", open: true }, h("summary", { key: "rows" }, app.t("original_rows")),
    h("div", { class: "scroll", key: "table", tabIndex: 0, role: "region", "aria-label": app.t("original_rows") }, grid));
}

function answerBox(app, item) {
  if (item.blind && !item.category) return h("section", { class: "answer blind" }, h("p", {}, app.t("blind")));
  const said = item.said || [];
  return h("section", { class: "answer", "aria-label": app.t("model_says") },
    h("p", { class: "said" }, h("span", {}, app.t("model_says")), h("strong", {}, item.category), scorePill(app, item.score)),
    item.reason ? h("p", { class: "reason" }, reasonOf(app, item)) : null,
    said.length ? h("p", { class: "before" }, `${app.t("before")}: `,
      said.map(([n, name, score]) => `${app.t("iteration", { n })}: ${name} (${app.n.score(score)})`).join(" · ")) : null);
}

function fieldsOf(app, item) {
  const named = namedWords(item.reason || ""), several = Object.keys(item.fields).length > 1;
  return Object.entries(item.fields).map(([name, text]) =>
    h("div", { class: "field" }, h("h3", { class: several ? "" : "only" }, name),
      h("p", { class: "text" }, text ? markWords(text, (word) => named.has(word)) : h("em", {}, app.t("empty")))));
}

function verdictOf(app, item) {
  if (!item.mine) return null;
  const { verdict, corrected_category: category } = item.mine;
  return h("p", { class: "mine" }, app.t(`mine_${verdict}`, { category: category || item.category }));
}

function noteBox(app, item) {
  const text = app.wire.noteOf(item.item_id) ?? (app.note.item === item.item_id ? app.note.text : item.noted || "");
  app.note = { item: item.item_id, text };
  let timer = null;
  return h("label", { class: "note" }, h("span", {}, app.t("note"), h("kbd", { "aria-hidden": "true" }, "N")),
    h("textarea", {
      rows: 2, value: text, maxLength: app.noteLength, key: `note/${item.item_id}`, "aria-keyshortcuts": "n",
      oninput: (event) => {
        app.note = { item: item.item_id, text: event.target.value };
        app.wire.keepNote(item.item_id, app.note.text);
        if (event.target.textLength === app.noteLength) app.say(app.t("note_full", { n: app.n.whole(app.noteLength) }));
        clearTimeout(timer);
        timer = setTimeout(() => app.wire.send("place", { place: { note: app.note } }), 300);
      },
    }));
}

function choices(app) {
  const list = h("ol", { class: "choices-list" }), pager = h("div", { class: "pager" });
  const box = h("input", {
    type: "search", class: "ahead", key: `typed/${app.item.item_id}`, placeholder: app.t("type_category"), "aria-label": app.t("type_category"),
    "aria-keyshortcuts": "/", value: app.typed,
    oninput: (event) => { app.typed = event.target.value; app.page = 0; fill(); },
    onkeydown: (event) => {
      const found = shownCategories(app);
      if (event.key === "Enter" && app.typed.trim() && found.length) decide(app, "choose", found[0].name);
    },
  });
  function fill() {
    const found = shownCategories(app), pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    app.page = Math.min(app.page, pages - 1);
    redraw(list, found.slice(app.page * PER_PAGE, (app.page + 1) * PER_PAGE).map(({ name, description }, k) =>
      h("li", {}, h("button", {
        key: `to/${name}`, class: `act category${name === app.item?.category ? " proposed" : ""}`, title: description || null,
        "aria-keyshortcuts": String(k + 1), onclick: once(app, () => decide(app, "choose", name)),
      }, h("kbd", { "aria-hidden": "true" }, String(k + 1)), h("span", {}, name)))));
    redraw(pager, [h("span", {}, app.t("page", { page: app.page + 1, pages })),
      h("button", { class: "quiet", key: "more", disabled: pages < 2, "aria-keyshortcuts": "0", onclick: () => turn() },
        app.t("more_categories"), h("kbd", { "aria-hidden": "true" }, "0"))]);
  }
  function turn() {
    if (app.pending) return;
    app.page = (app.page + 1) % Math.max(1, Math.ceil(shownCategories(app).length / PER_PAGE));
    fill();
  }
  fill();
  const keys = { 0: turn, "/": () => box.focus() };
  for (let k = 1; k <= PER_PAGE; k++) {
    keys[k] = () => { const found = shownCategories(app)[app.page * PER_PAGE + k - 1]; if (found) decide(app, "choose", found.name); };
  }
  return { node: h("aside", { class: "choices", "aria-label": app.t("categories") },
    h("h2", {}, app.t("correct_to")), box, list, pager), keys };
}

// The second click of a double click is not meant for the item that the first one has brought.
function once(app, go) {
  return (event) => { if (event.detail < 2 || performance.now() - app.since > UNREAD) go(); };
}

function actions(app) {
  const act = (key, text, go, kind = "") => h("button", { class: `act ${kind}`, key: `press/${key}`, "aria-keyshortcuts": key, onclick: once(app, go) },
    text, h("kbd", { "aria-hidden": "true" }, { ArrowRight: "→" }[key] || key.toUpperCase()));
  return h("footer", { class: "actions" },
    app.item?.category ? act("a", app.t("accept"), () => decide(app, "accept"), "primary") : null,
    app.item ? act("u", app.t("unsure"), () => decide(app, "unsure")) : null,
    app.item ? act("s", app.t("skip"), () => decide(app, "skip")) : null,
    h("span", { class: "gap" }),
    act("b", app.t("back"), () => move(app, -1)), act("ArrowRight", app.t("forward"), () => move(app, 1)),
    act("z", app.t("undo"), () => undo(app)));
}

function queueView(app, main) {
  const keys = {
    a: () => decide(app, "accept"), u: () => decide(app, "unsure"), s: () => decide(app, "skip"),
    b: () => move(app, -1), ArrowLeft: () => move(app, -1), ArrowRight: () => move(app, 1), z: () => undo(app),
    n: () => main.querySelector("textarea")?.focus(),
  };
  if (!app.item) {
    redraw(main, [strip(app), filterRow(app), h("div", { class: "finished" },
      h("h2", {}, app.t(app.progress.done >= app.progress.asked ? "finished" : "nothing_here")),
      h("p", {}, app.t(app.progress.done >= app.progress.asked ? "finished_next" : "nothing_here_next"))), actions(app)]);
    return { keys };
  }
  const side = choices(app), item = app.item;
  const article = h("article", { class: "item", "aria-label": app.t("item") },
    h("div", { class: "fields" }, fieldsOf(app, item)), covers(app, item), verdictOf(app, item), answerBox(app, item),
    originals(app, item), noteBox(app, item));
  article.dataset.item = item.item_id;
  const another = main.querySelector("article.item")?.dataset.item !== item.item_id;
  redraw(main, [strip(app), filterRow(app), h("div", { class: "cols" }, article, side.node), actions(app)]);
  if (another) { app.since = performance.now(); toTop(main); }
  return { keys: { ...keys, ...side.keys } };
}
