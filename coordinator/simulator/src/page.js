'use strict';

// The chat page: reads the whole chat after each change and touches only what differs.

// ?chat=100&lang=de, and in a group ?chat=-5&user=7&name=Ann
const query = new URLSearchParams(location.search);
const chatId = Number(query.get('chat') || 100);
const person = {
  user_id: Number(query.get('user') || Math.abs(chatId)),
  language_code: query.get('lang') || (navigator.language || 'en').slice(0, 2),
};
if (query.get('name')) person.first_name = query.get('name');
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
  const answer = await post('/sim/messages', { chat_id: chatId, ...person, text });
  if (!answer.ok) toast(await answer.text());
};

const press = async (button, message, data) => {
  button.classList.add('waiting');
  const answer = await post('/sim/callbacks', { chat_id: chatId, ...person, message_id: message.message_id, data });
  button.classList.remove('waiting');
  if (!answer.ok) toast(await answer.text());
};

const toast = (text) => {
  const element = make('div', { class: 'toast' }, text);
  byId('toasts').append(element);
  setTimeout(() => element.remove(), 3500);
};

// An alert stays until it is closed, a note goes by itself.
const alert = (text) => {
  byId('alert-text').textContent = text;
  if (!byId('alert').open) byId('alert').showModal();
};

const marks = { photo: '🖼', video: '🎬' };

// Where the picture would be. Its address is shown and not fetched: nothing leaves this machine.
const media = ({ kind, source }) => {
  if (kind === 'sticker') return make('span', { class: 'sticker' }, source);
  const address = source ? source.replace(/^https?:\/\//, '') : 'from this person';
  return make('span', { class: `media ${kind}`, role: 'img', 'aria-label': `${kind} ${address}` },
    make('b', {}, marks[kind]), make('small', {}, address));
};

const quote = (id) => {
  const element = byId('messages').querySelector(`[data-message-id="${id}"]`);
  const text = element?.querySelector('.text')?.textContent || 'a message';
  return make('span', { class: 'quote' }, text.slice(0, 80));
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
  if (chatId < 0 && message.from === 'user') bubble.append(make('span', { class: 'author' }, message.name));
  if (message.reply_to) bubble.append(quote(message.reply_to));
  if (message.media) bubble.append(media(message.media));
  const text = make('span', { class: 'text' });
  // The server escapes everything and lets only a few tags through.
  text.innerHTML = message.html;
  bubble.append(text, make('span', { class: 'meta' }, message.edits && message.from === 'bot' ? `edited ${time}` : time));
  const other = message.from === 'user' && message.user_id !== person.user_id ? ' other' : '';
  const album = message.album ? ' album' : '';
  return make('div', { class: `row ${message.from}${other}${album}` }, bubble, keyboard(message));
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
    const key = JSON.stringify([message.html, message.buttons, message.media]);
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

const showReplyKeyboard = (keyboard) => {
  const element = byId('reply-keyboard');
  const key = JSON.stringify(keyboard);
  if (element.dataset.shown === key) return;
  element.dataset.shown = key;
  element.replaceChildren(...(keyboard?.rows || []).map((row) => make('div', { class: 'line' },
    ...row.map((text) => make('button', { type: 'button', class: 'reply-button', onclick: () => send(text) }, text)))));
  input.placeholder = keyboard?.placeholder || 'Write a name or a command';
};

const showCommands = () => {
  const typed = input.value;
  const fitting = typed.startsWith('/') && !typed.includes(' ')
    ? commands.filter((command) => `/${command.command}`.startsWith(typed)) : [];
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 120;
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
  if (atEnd) list.scrollTop = list.scrollHeight;
};

const title = (chat, id) => chat?.title || chat?.first_name || (id < 0 ? `Group ${-id}` : `User ${id}`);

const showChats = async () => {
  const chats = await (await fetch('/sim/chats')).json();
  const ids = [...new Set([chatId, ...chats.map((chat) => chat.chat_id)])].sort((a, b) => a - b);
  byId('chats').replaceChildren(...ids.map((id) => {
    const last = chats.find((chat) => chat.chat_id === id)?.last || 'No messages yet';
    return make('li', {}, make('button', {
      type: 'button',
      'aria-current': String(id === chatId),
      onclick: () => { location.search = `?chat=${id}`; },
    }, title(chats.find((chat) => chat.chat_id === id)?.chat, id), make('small', {}, last)));
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
    const chat = await (await fetch(`/sim/chat?${new URLSearchParams({ chat_id: chatId, user_id: person.user_id, language_code: person.language_code })}`)).json();
    showMessages(chat.messages);
    showReplyKeyboard(chat.reply_keyboard);
    if (JSON.stringify(commands) !== JSON.stringify(chat.commands)) {
      commands = chat.commands;
      // An open menu follows.
      showCommands();
    }
    const status = byId('status');
    status.classList.toggle('typing', chat.typing);
    status.textContent = chat.typing ? 'typing…' : chat.polling ? 'online' : 'waiting for a coordinator';
    for (const item of chat.toasts.filter((item) => toastsSeen < item.at_ms)) {
      toastsSeen = item.at_ms;
      (item.alert ? alert : toast)(item.text);
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

byId('chat-tag').textContent = `${chatId < 0 ? 'group' : 'user'} ${Math.abs(chatId)} · ${person.language_code}`;
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
