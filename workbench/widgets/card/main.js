// The review: four views over one connection. All state that matters is in the kernel's database.

const VIEWS = { queue: queueView, groups: groupsView, search: searchView, results: resultsView };
const VIEW_KEYS = { q: "queue", g: "groups", f: "search", r: "results" };
const TEXT_KEYS = /^(.|Dead|Process|Enter|Backspace|Arrow.*)$/u, REST = 300, PAUSE = 1000;

function makeApp(model) {
  const start = model.get("start");
  const app = {
    about: start.about, reviewer: start.reviewer, noteLength: start.note_length, texts: start.texts, item: start.item, progress: start.progress,
    view: start.place.view || "queue", filters: start.place.filters || {}, note: start.place.note || {},
    lang: start.place.lang || start.lang, theme: start.place.theme || "auto",
    pending: null, page: 0, typed: "", stamps: [], told: "", since: 0,
  };
  app.speak = () => { app.t = translator(app.texts, app.lang); app.n = numbers(app.lang); };
  app.speak();
  return app;
}

function header(app) {
  const tabs = Object.entries(VIEW_KEYS).map(([key, view]) =>
    h("button", {
      class: "tab", role: "tab", id: `tab-${view}`, key: view, "aria-selected": String(app.view === view), "aria-keyshortcuts": key,
      onclick: () => app.open(view),
    }, app.t(`view_${view}`), h("kbd", { "aria-hidden": "true" }, key.toUpperCase())));
  const other = app.lang === "es" ? "en" : "es", themes = { auto: "dark", dark: "light", light: "auto" };
  return h("header", { class: "bar" },
    h("div", { class: "who" }, h("h1", {}, app.t("title")),
      h("span", { class: "run" }, `${app.about.run} · ${app.t("iteration", { n: app.about.iteration })}`)),
    h("nav", { class: "tabs", role: "tablist", "aria-label": app.t("views") }, tabs),
    h("div", { class: "tools" },
      h("span", { class: "reviewer", title: app.t("you_are") }, app.reviewer),
      h("button", { class: "quiet", key: "language", lang: other, onclick: () => app.set({ lang: other }) }, other === "es" ? "Español" : "English"),
      h("button", { class: "quiet", key: "theme", "aria-label": `${app.t("theme")}: ${app.t(`theme_${app.theme}`)}`, onclick: () => app.set({ theme: themes[app.theme] }) },
        app.t(`theme_${app.theme}`))));
}

function render({ model, el }) {
  const app = makeApp(model);
  // In Voila the whole page is the card's; in JupyterLab only keys inside it are, and none of those may add or cut cells.
  const alone = !!document.body.dataset.voila;
  const bar = h("div"), main = h("main", { class: "view", tabIndex: -1 });
  const offline = h("div", { class: "offline", role: "alert", hidden: true });
  const trouble = h("div", { class: "trouble", role: "alert", hidden: true });
  const live = h("p", { class: "live", role: "status", "aria-live": "polite" });
  const root = h("section", { class: "wbr" }, bar, offline, trouble, main, live);
  el.append(root);

  app.say = (text, aloud = "") => { live.replaceChildren(text, h("span", { class: "unseen" }, aloud && ` ${aloud}`)); };
  app.busy = (pending) => { app.pending = pending; main.setAttribute("aria-busy", String(!!pending)); };
  const hide = (notice) => { const held = notice.contains(document.activeElement); notice.hidden = true; if (held) main.focus(); };
  app.failed = ({ error: code, given_up: lost }, message) => {
    trouble.hidden = false;
    const words = lost ? "given_up" : message && "tries" in message ? "not_stored" : "went_wrong";
    redraw(trouble, [app.t(words, { code, text: message?.text || "" }), " ",
      h("button", { key: "close", onclick: () => hide(trouble) }, app.t("close"))]);
  };
  app.connection = (good, unsent) => {
    if (good === offline.hidden) return;
    if (good) return hide(offline);
    offline.hidden = false;
    const words = unsent ? count(app, "offline_unsent", unsent) : app.t("offline_saved");
    redraw(offline, [h("strong", {}, app.t("offline")), ` ${words} `,
      h("button", { class: "reload", key: "reload", onclick: () => location.reload() }, app.t("reload"))]);
  };
  app.draw = () => {
    root.lang = app.lang;
    if (alone) document.documentElement.lang = app.lang;
    root.dataset.theme = app.theme;
    redraw(bar, [header(app)]);
    app.drawn = VIEWS[app.view](app, main);
  };
  app.set = (change) => { Object.assign(app, change); app.speak(); app.wire.send("place", { place: change }); app.draw(); };
  app.open = (view) => {
    if (view !== app.view) { app.say(""); app.set({ view }); toTop(main); }
    (app.drawn.first || main).focus();
  };
  app.wire = connect(model, app);

  // Nothing is typed while an answer is on its way; and a text that was begun then, or in a field that is gone since,
  // does not go on as commands: they count again once the keyboard has rested, for longer where it was a text for sure.
  // A command that is pressed again before its answer is no text: it is lost, and the next one counts.
  let text = { at: 0, rest: REST }, command = "";
  const swallowed = (event, typing) => {
    const pressed = /^(Enter| )$/.test(event.key) && event.target.tagName === "BUTTON" && !main.contains(event.target);
    if (pressed || !TEXT_KEYS.test(event.key)) return false;
    const gone = text.field ? !typing && !text.field.isConnected : true, goesOn = Date.now() - text.at < text.rest;
    const lost = app.pending || (gone && goesOn);
    if (lost && !goesOn && !typing && event.key === command) return true;
    if (!lost && !typing) command = event.key;
    const ends = event.key === "Enter", begins = typing || /^[/nf0]$/i.test(event.key);
    if (!lost) text = typing && !ends ? { at: Date.now(), rest: PAUSE, field: event.target } : { at: 0, rest: REST };
    else if (!event.repeat) text = { at: Date.now(), rest: ends ? REST : begins ? PAUSE : text.rest };
    return lost;
  };
  const onkey = (event) => {
    if (!alone && !root.contains(event.target)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (swallowed(event, typing)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (typing) {
      if (event.key === "Escape") { main.focus(); event.preventDefault(); event.stopPropagation(); }  // a search field would be emptied
      return;
    }
    if (!alone) event.stopPropagation();
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (/^(Enter| )$/.test(key) && event.target.tagName === "BUTTON") {
      if (event.repeat) event.preventDefault();  // a key that is held presses its button once
      return;
    }
    const step = event.target.role === "tab" && { ArrowLeft: "previous", ArrowRight: "next" }[key];
    const act = (step && (() => event.target[`${step}ElementSibling`]?.focus())) || app.drawn?.keys?.[key] || (VIEW_KEYS[key] && (() => app.open(VIEW_KEYS[key])));
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) act();
  };
  window.addEventListener("keydown", onkey, true);  // JupyterLab listens at the document

  app.draw();
  sendKept(app);
  return () => { window.removeEventListener("keydown", onkey, true); app.wire.stop(); };
}

export default { render };
