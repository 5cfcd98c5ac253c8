'use strict';

// The chat page: reads the whole chat after each change and touches only what differs.

const chatId = Number(new URLSearchParams(location.search).get('chat') || 100);
const byId = (id) => document.getElementById(id);
const list = byId('messages');
const input = byId('message-input');
const shown = new Map();
let commands = [];
let toastsSeen = Date.now();
let loading = false;
let again = false;

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

const post = (path, body) => fetch(path, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

const send = async (text) => {
  if (!text.trim()) return;
  await post('/sim/messages', { chat_id: chatId, text, language_code: (navigator.language || 'en').slice(0, 2) });
};

const press = async (button, message, data) => {
  button.classList.add('waiting');
  const answer = await post('/sim/callbacks', { chat_id: chatId, message_id: message.message_id, data });
  button.classList.remove('waiting');
  if (!answer.ok) toast(await answer.text());
};

const toast = (text) => {
  const element = make('div', { class: 'toast' }, text);
  byId('toasts').append(element);
  setTimeout(() => element.remove(), 3500);
};

const keyboard = (message) => {
  const rows = message.buttons.map((row) => make('div', { class: 'line' }, ...row.map((button) => {
    if (button.url) {
      return make('a', { class: 'inline-button', href: button.url, target: '_blank', rel: 'noopener noreferrer' }, `${button.text} ↗`);
    }
    const element = make('button', { class: 'inline-button', type: 'button', 'data-callback': button.data, title: button.text }, button.text);
    element.addEventListener('click', () => press(element, message, button.data));
    return element;
  })));
  return rows.length ? make('div', { class: 'keyboard' }, ...rows) : '';
};

const row = (message, fresh) => {
  const time = new Date(message.date_ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const bubble = make('div', {
    class: `bubble ${message.from}${fresh ? ' fresh' : ''}`,
    'data-message-id': message.message_id,
  });
  // The server escapes everything and lets only a few tags through.
  bubble.innerHTML = message.html;
  bubble.append(make('span', { class: 'meta' }, message.edits && message.from === 'bot' ? `edited ${time}` : time));
  return make('div', { class: `row ${message.from}` }, bubble, keyboard(message));
};

const showMessages = (messages) => {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 120;
  const present = new Set(messages.map((message) => message.message_id));
  for (const [id, entry] of shown) {
    if (!present.has(id)) {
      entry.element.remove();
      shown.delete(id);
    }
  }
  list.querySelector('.empty')?.remove();
  for (const message of messages) {
    const key = JSON.stringify([message.html, message.buttons]);
    const known = shown.get(message.message_id);
    if (known && known.key === key) continue;
    const element = row(message, Boolean(known));
    if (known) known.element.replaceWith(element);
    else list.append(element);
    shown.set(message.message_id, { key, element });
  }
  if (!messages.length) {
    const hint = (text) => make('button', { type: 'button', onclick: () => send(text) }, text);
    list.append(make('div', { class: 'empty' },
      make('strong', {}, 'Say hello'),
      'Start the bot, or send the name of a creator. A typing mistake or two is fine.',
      make('div', {}, hint('/start'), hint('luna marlow'), hint('/random'))));
  }
  if (atEnd) list.scrollTop = list.scrollHeight;
};

const showReplyKeyboard = (rows) => {
  const texts = (rows || []).flat().map((button) => (typeof button === 'string' ? button : button.text));
  byId('reply-keyboard').replaceChildren(...texts.map((text) => make('button', { type: 'button', onclick: () => send(text) }, text)));
};

const showCommands = () => {
  const typed = input.value;
  const fitting = typed.startsWith('/') && !typed.includes(' ')
    ? commands.filter((command) => `/${command.command}`.startsWith(typed)) : [];
  byId('commands').hidden = !fitting.length;
  byId('commands').replaceChildren(...fitting.map((command) => make('button', {
    type: 'button',
    role: 'option',
    onclick: () => {
      input.value = '';
      showCommands();
      send(`/${command.command}`);
      input.focus();
    },
  }, make('b', {}, `/${command.command}`), command.description)));
};

const showChats = async () => {
  const chats = await (await fetch('/sim/chats')).json();
  const ids = [...new Set([chatId, ...chats.map((chat) => chat.chat_id)])].sort((a, b) => a - b);
  byId('chats').replaceChildren(...ids.map((id) => {
    const last = chats.find((chat) => chat.chat_id === id)?.last || 'No messages yet';
    return make('li', {}, make('button', {
      type: 'button',
      'aria-current': String(id === chatId),
      onclick: () => { location.search = `?chat=${id}`; },
    }, id < 0 ? `Group ${-id}` : `User ${id}`, make('small', {}, last)));
  }));
  byId('new-chat').onclick = () => { location.search = `?chat=${Math.max(99, ...ids) + 1}`; };
};

const load = async () => {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    const chat = await (await fetch(`/sim/chat?chat_id=${chatId}`)).json();
    showMessages(chat.messages);
    showReplyKeyboard(chat.reply_keyboard);
    commands = chat.commands;
    const status = byId('status');
    status.classList.toggle('typing', chat.typing);
    status.textContent = chat.typing ? 'typing…' : chat.polling ? 'online' : 'waiting for a coordinator';
    for (const item of chat.toasts.filter((item) => toastsSeen < item.at_ms)) {
      toastsSeen = item.at_ms;
      toast(item.text);
    }
    await showChats();
  } finally {
    loading = false;
  }
  if (again) {
    again = false;
    load();
  }
};

byId('chat-tag').textContent = chatId < 0 ? `group ${-chatId}` : `user ${chatId}`;
byId('compose').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = input.value;
  input.value = '';
  showCommands();
  list.scrollTop = list.scrollHeight;
  send(text);
});
input.addEventListener('input', showCommands);
byId('command-menu').addEventListener('click', () => {
  input.value = input.value.startsWith('/') ? '' : '/';
  showCommands();
  input.focus();
});

const stream = new EventSource('/sim/stream');
stream.onmessage = load;
stream.onopen = load;
stream.onerror = () => { byId('status').textContent = 'connection lost, trying again…'; };
// "typing…" ends by itself, without an event.
setInterval(() => { if (byId('status').classList.contains('typing')) load(); }, 1500);
load();
