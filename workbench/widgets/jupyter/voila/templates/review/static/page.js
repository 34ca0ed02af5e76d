// The widget protocol of Jupyter for one anywidget over one websocket: its state once, then its messages, both ways.

const { baseUrl, kernelId, widget } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
const session = `${Date.now()}-${Math.random()}`;
const RETRY = 1000;
const listeners = {};
let socket, state, count = 0;

const tell = (name, data) => (listeners[name] || []).forEach((listener) => listener(data));

// What an anywidget sees of its model. What is sent while the line is down is gone: "reopened" says when to send again.
const model = {
  get: (name) => state[name],
  send: (content) => post({ method: "custom", content }),
  on: (name, listener) => { (listeners[name] ??= []).push(listener); },
  off: (name, listener) => { listeners[name] = (listeners[name] || []).filter((each) => each !== listener); },
};

function post(data) {
  if (socket.readyState !== WebSocket.OPEN) return;
  const header = { msg_id: `${session}-${count++}`, session, username: "", msg_type: "comm_msg", version: "5.3", date: new Date().toISOString() };
  socket.send(JSON.stringify({ header, parent_header: {}, metadata: {}, content: { comm_id: widget, data }, channel: "shell", buffers: [] }));
}

function open() {
  const address = new URL(`${baseUrl}api/kernels/${kernelId}/channels?session_id=${session}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.onopen = () => (state ? tell("reopened") : post({ method: "request_state" }));
  socket.onclose = () => setTimeout(open, RETRY);
  socket.onmessage = ({ data }) => {
    const { header, content } = JSON.parse(data);
    if (header.msg_type !== "comm_msg" || content.comm_id !== widget) return;
    if (content.data.method === "custom") tell("msg:custom", content.data.content);
    if (content.data.method === "update" && !state) show(content.data.state);
  };
}

async function show(given) {
  state = given;
  const style = document.createElement("style");
  style.textContent = state._css;
  document.head.append(style);
  const { default: card } = await import(URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" })));
  document.getElementById("opening").remove();
  card.render({ model, el: document.body });
}

// A page that is left ends its kernel; one that the back button brings back from memory has none any more.
addEventListener("pagehide", () => {
  const form = new FormData();
  form.append("_xsrf", document.cookie.match(/\b_xsrf=([^;]*)/)?.[1] || "");
  navigator.sendBeacon(`${baseUrl}voila/api/shutdown/${kernelId}`, form);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

if (widget) open();
else document.getElementById("opening").textContent = "La revisión no se pudo abrir: avise a quien le envió el enlace. · The review could not be opened: tell whoever sent the link.";
