# Every sentence a person can read, in English. `de.ftl` has the same ids and the same variables.
# Messages are Telegram's HTML, and what is put in is escaped before; buttons, notes and the menu are plain text.

### Commands: what the menu and /help say about them.
command-search = Find a creator by name
command-random = Show a random creator
command-status = Your open requests
command-cancel = Stop your open requests
command-settings = Language and stored data
command-privacy = What I store about you and for how long
command-help = What I can do

### Greeting and help.
welcome =
    👋 <b>Welcome!</b>

    Send me the name of a creator and I will find them, even if you misspell it.

    Try <code>luna marlow</code>, or /random for a surprise. /help says more.
help =
    <b>What I can do</b>

    • Send a name, or part of one: I search.
    • /search NAME does the same.
    • /random shows a random creator.
    • /status shows your open requests, /cancel stops them.
    • /settings changes the language and deletes your data, /privacy says what I store.

    With the buttons under my messages you open a creator, turn pages, filter items and go back.
privacy =
    <b>What I store about you</b>

    • Your numeric Telegram id, and what you searched, saw and set in this chat: until a day after you last wrote or pressed a button.
    • A language that you chose: 180 days.
    • Answers: 5 minutes. Which messages I answered: 25 hours, without their text.
    • A note that I cannot write to a chat: 30 days.
    • What became of each of your questions and when, with your id and the chat's: 7 days, or as long as my operator set it. Not what you asked, unless my operator keeps texts.
    • A question that failed for good, with your id: until newer ones replace it or my operator deletes it.

    My log holds no messages and no names. I keep no profile and send nothing to advertisers. Your questions go, with your id, to my operator's plugins. The words of a search also go to their forum or database, if they use one. For what Telegram stores, see Telegram.

    <b>How to be forgotten</b>

    /settings has the button “Forget me”: it deletes at once what I store about you in this chat, and what became of your questions in all chats. The rest expires by itself, as listed above.
help-group =
    <b>What I can do here</b>

    • /search NAME, or a message that mentions @{ $bot } with a name: I search, even if you misspell it.
    • /random shows a random creator.
    • A reply to one of my messages also counts as a question.
    • /status shows your open requests, /cancel stops them, /settings is only for you, /privacy says what I store.

    Only the person who asked can use the buttons under an answer.
help-plugins = <b>And also</b>
help-admin =
    <b>For you as an administrator</b>

    /stats shows the queue, /plugins the workers and their plugins.

### The main actions, as a keyboard below the input field.
key-search = 🔎 Search
key-random = 🎲 Random
key-status = ⏳ Status
key-settings = ⚙️ Settings

### What cannot be understood.
search-what = Who are you looking for? Send me a name, for instance <code>luna marlow</code>.
search-what-group = Who are you looking for? Write for instance <code>/search luna marlow</code>.
unknown-command = I do not know this command. /help says what I can do.
command-gone = /{ $command } is not available at the moment. Please try again later.
command-needs = Something is missing. Example: <code>/{ $command } { $example }</code>
nothing-to-search = Please send a name with at least one letter or digit.
too-long = That is too long for a name. Please send at most 200 characters.
too-much-text = That is too much text. Please send at most { $most } characters.
text-only = I understand text only. Send me a name.
unreadable = I could not read this message. Please send it again, as plain text.

### Buttons that lead nowhere.
stale-button = These buttons are no longer valid. Please search again.
foreign-button = These buttons belong to somebody else. Ask your own question with /search.
administrators-button = An administrator asked this in the name of the group. Only its administrators can use these buttons.
channels-button = A channel asked this, and I cannot see who may act for it. Ask your own question with /search.
gone-button = This is not available right now. Please try again later.

### Limits.
busy = 🙏 I am very busy at the moment. Please try again in a minute.
busy-kept = ⏳ I am busy at the moment. Your question is kept and will be answered; no need to send it again.
one-at-a-time = ⏳ You already have several open requests. Please wait for their answers, or send /cancel.
slow-down = 🐢 That is too fast for me. Please wait a moment, then continue.
not-for-you = This bot is private.
cannot-show = ⚠️ I have an answer, but Telegram does not accept it. Please ask in another way.

### Waiting.
looking-for = 🔎 Looking for <b>{ $query }</b>…
opening = 📂 Opening <b>{ $name }</b>…
picking = 🎲 Picking a creator…
working-on = ⚙️ Working on <b>{ $what }</b>…
note-looking-for = Looking for { $query }…
note-opening = Opening { $name }…
note-more = Loading more…
note-album = Sending…
note-working = Working on it…
next-in-line = ⏳ You are next.
in-line = ⏳ Number { $place } in line, { $wait }.
in-line-only = ⏳ Number { $place } in line.
wait-moment = a few seconds
wait-seconds = about { $seconds } seconds
wait-minutes = { $minutes ->
    [one] about a minute
   *[other] about { $minutes } minutes
}
taking-up-again = 🔁 Something failed. I am trying again…
nobody-there = ⏳ I cannot answer yet. Your question is waiting.

### What is under way.
status-none = You have no open requests. Send me a name.
status-some = <b>Your open requests</b>
status-running = running
status-running-for = { $seconds ->
    [one] running for a second
   *[other] running for { $seconds } seconds
}
status-waiting = waiting
status-next = next in line
status-in-line = number { $place } in line, { $wait }
status-in-line-only = number { $place } in line
status-again = will be retried
cancelled-none = You have no open request that I could stop.
cancelled-some = { $count ->
    [one] ✋ Stopped.
   *[other] ✋ Stopped { $count } requests.
}

### What a question is called in a list.
what-search = the search for { $query }
what-extended = the extended search for { $query }
what-random = a random creator
what-content = the items of { $name }

### Results.
found = ✅ Found <b>{ $query }</b>:
closest = 🔎 Closest to <b>{ $query }</b>:
forum-results = 🔎 The forum's results for <b>{ $query }</b>:
nothing-found = 🤷 Nothing found for <b>{ $query }</b>.
nothing-on-page = 🤷 Nothing for <b>{ $query }</b> on this page. There are more.
try-otherwise = Try another spelling or a shorter part of the name.
page-of = Page { $page } of { $pages }
page = Page { $page }
how-about = 🎲 How about <b>{ $name }</b>?
items = { $count ->
    [one] { $count } item
   *[other] { $count } items
}
replies = { $count ->
    [one] { $count } reply
   *[other] { $count } replies
}
content-title = 📂 <b>{ $name }</b> · { $items }
content-empty = 📂 <b>{ $name }</b> has no items to show.
content-empty-filter = 📂 <b>{ $name }</b> has no such items.
content-full = I show no more than this. The rest is at { $name }.
untitled = Untitled
nothing-to-show = ✅ Done. There is nothing to show.
album-failed = 🔗 Telegram could not load these here. The links:

### Settings.
settings =
    ⚙️ <b>Settings</b>

    Language: { $language }
settings-language-auto = { $name }, the same as Telegram
settings-changed = Changed.
forget-sure =
    🗑 This deletes what you searched, saw and set in this chat, and stops your open requests. Buttons under older messages will stop working.

    Continue?
forgotten = 🗑 Deleted. You can start again at any time.

### Buttons.
button-extended = 🔎 Search more
button-results = ↩ Results
button-previous = ◀ Previous
button-next = Next ▶
button-more = ⬇ Load more
button-items = 📂 Show items
button-another = 🎲 Another
button-open = Open page
button-all = All
button-pictures = 🖼 Pictures
button-videos = 🎬 Videos
button-album = 👁 Show here
button-cancel = ✖ Stop
button-try-again = 🔁 Try again
button-auto = Same as Telegram
button-forget = 🗑 Forget me
button-forget-sure = Yes, delete
button-back = ↩ Back

### What went wrong, by the code of the failure. The way on follows from the sentence.
failure = Something went wrong. Please try again.
failure-not-understood = I could not understand that.
failure-too-long = That was too much text for me.
failure-nobody = I cannot answer this right now. Please try again later.
failure-not-found = I found nothing.
failure-cannot = I cannot answer this.
extended-cannot = Extended search is not available here.
random-nobody = I have no other creator to show right now.
failure-service = A service I depend on does not answer. Please try again later.
failure-broke = Something broke while I was answering. Please try again.
failure-took-too-long = That took too long, so I stopped. Please try again.
failure-too-much = That was too much at once. Please ask for something smaller.
failure-too-much-lookup = That would need too many lookups. Please ask for something smaller.
failure-accident = Something went wrong on my side. Please try again.
failure-late = I did not get to it in time. Please try again.
failure-cancelled = Stopped.
