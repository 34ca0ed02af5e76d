// Search: items by keyword with the places marked, what was said of each, and a verdict from the list.

function searchView(app, main) {
  const t = app.t, state = (app.found ??= { keyword: "", category: "", page: 1 });
  app.chosen ??= {};
  app.sent ??= {};
  const box = h("input", { type: "search", value: state.keyword, placeholder: t("search_hint"), "aria-label": t("keyword") });
  const category = choice(app, state.category, [["", t("any")], ...app.about.categories.map(({ name }) => [name, name])], { "aria-label": t("category") });
  const hits = h("div", { class: "hits", tabIndex: -1 });
  const form = h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); ask(1); hits.focus(); } },
    h("label", { class: "wide" }, h("span", {}, t("keyword")), box), h("label", {}, h("span", {}, t("category")), category),
    h("button", { class: "act primary" }, t("search")));
  redraw(main, [form, hits]);

  function ask(page, told = true) {
    Object.assign(state, { keyword: box.value, category: category.value, page });
    if (!box.value.trim()) return redraw(hits, []);
    app.wire.send("search", state, (reply) => {
      if (reply.error) return;
      if (told) app.say(count(app, "n_found", reply.total));
      redraw(hits, [h("p", { class: "quiet-text" }, count(app, "n_found", reply.total)),
        ...reply.items.map((item) => hitCard(app, item, fold(state.keyword).split(/\s+/).filter(Boolean), again)), pages(reply)]);
    });
  }
  function pages({ page, pages: last }) {
    if (last < 2) return "";
    return h("nav", { class: "pager", "aria-label": t("pages") },
      h("button", { class: "act", key: "earlier", disabled: page < 2, onclick: () => ask(page - 1) }, t("earlier")),
      h("span", {}, t("page", { page, pages: last })),
      h("button", { class: "act", key: "later", disabled: page >= last, onclick: () => ask(page + 1) }, t("later")));
  }
  const again = () => ask(state.page, false);
  if (state.keyword) ask(state.page);
  return { keys: { z: () => undo(app), "/": () => box.focus() }, again, first: state.keyword ? null : box };
}

function hitCard(app, item, words, again) {
  const t = app.t;
  const target = choice(app, app.chosen[item.item_id] ?? (item.category || ""), [["", t("choose")], ...app.about.categories.map(({ name }) => [name, name])],
    { key: `to/${item.item_id}`, "aria-label": t("correct_to"), onchange: () => { app.chosen[item.item_id] = target.value; counted(); } });
  const correct = h("button", { class: "act", key: `correct/${item.item_id}`, title: t("choose_another"), onclick: () => say("choose", target.value) }, t("correct"));
  const counted = () => { correct.disabled = !target.value || target.value === item.category; };
  // While the answer is on its way, and until the item is drawn as it is then, nothing more is said of it.
  const say = (verdict, category) => {
    if (app.sent[item.item_id] === item.rev) return;
    app.sent[item.item_id] = item.rev;
    node.setAttribute("aria-busy", "true");
    app.wire.keep("decide", { item: item.item_id, rev: item.rev, verdict, category, notes: app.wire.noteOf(item.item_id), text: beginningOf(item), stay: true }, (reply) => {
      if (reply.error) {
        delete app.sent[item.item_id];
        return again();
      }
      app.progress = reply.progress;
      delete app.chosen[item.item_id];
      app.say(t(reply.outcome === "stale" ? "was_stale" : `said_${verdict}`, { category: category || item.category }));
      again();
    });
  };
  const buttons = h("div", { class: "hit-actions" },
    item.category ? h("button", { class: "act", key: `accept/${item.item_id}`, onclick: (event) => event.detail < 2 && say("accept", null) }, t("accept")) : null, target, correct,
    h("button", { class: "quiet", key: `open/${item.item_id}`, onclick: () => openItem(app, item.item_id) }, t("open_in_queue")));
  const history = [
    ...(item.said || []).map(([n, category, score]) => h("li", {}, t("history_model", { n, category, score: app.n.score(score) }))),
    ...item.verdicts.map((verdict) => h("li", {}, t(verdict.is_correct ? "history_right" : "history_wrong", {
      n: verdict.iteration, reviewer: verdict.reviewer, category: verdict.is_correct ? verdict.category : verdict.corrected_category ?? "?",
    }), verdict.user_notes ? ` — ${verdict.user_notes}` : "")),
  ];
  counted();
  const node = h("article", { class: "hit", "aria-busy": app.sent[item.item_id] === item.rev ? "true" : null },
    h("div", {}, Object.values(item.fields).filter(Boolean).map((text) => h("p", { class: "text" }, markPlaces(text, words))),
      h("p", { class: "about" }, h("strong", {}, item.category || t("hidden")), " ", item.category ? scorePill(app, item.score) : "",
        ` ${count(app, "n_rows", item.n_rows)}${item.asked ? ` · ${t("in_sample")}` : ""}`),
      item.reason ? h("p", { class: "reason" }, reasonOf(app, item)) : null,
      history.length ? h("details", {}, h("summary", { key: `history/${item.item_id}` }, t("history", { n: history.length })), h("ul", {}, history)) : null),
    buttons);
  return node;
}

function openItem(app, item) {
  if (app.pending) return;
  app.busy({ open: item });
  app.wire.send("open", { item }, (reply) => {
    queueShow(app, reply);
    if (!reply.error) app.open("queue");
  });
}
