// Messages to the kernel: each has a key, and a decision is kept in this browser until the kernel says it is stored.

function connect(model, app) {
  const waiting = new Map(), beats = { last: Date.now() };
  const slot = `workbench-review/${app.about.run_id}/${app.about.iteration}/${app.reviewer}/`;
  const keys = () => Object.keys(localStorage).filter((name) => name.startsWith(slot));

  function send(op, data = {}, done = null) {
    const key = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}-${Math.random()}`;
    post({ op, key, ...data }, done);
    return key;
  }

  function post(message, done) {
    if (done) waiting.set(message.key, done);
    model.send(message);
  }

  // Sends what must not be lost; a reload sends it again under the same key.
  function keep(op, data, done) {
    const message = { op, key: crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`, ...data };
    try { localStorage.setItem(slot + message.key, JSON.stringify(message)); } catch { /* private mode */ }
    post(message, done);
  }

  function unsent() {
    return keys().map((name) => JSON.parse(localStorage.getItem(name)));
  }

  function receive(message) {
    beats.last = Date.now();
    if (message.re && !message.error) localStorage.removeItem(slot + message.re);
    const done = waiting.get(message.re);
    waiting.delete(message.re);
    if (message.error) app.failed(message.error);
    done?.(message);
  }

  model.on("msg:custom", receive);
  const pings = setInterval(() => model.send({ op: "ping", key: "ping" }), 2000);
  const looks = setInterval(() => app.connection(Date.now() - beats.last < 6000, keys().length), 500);
  return {
    send, keep, unsent, post,
    stop() { clearInterval(pings); clearInterval(looks); model.off("msg:custom", receive); },
  };
}
