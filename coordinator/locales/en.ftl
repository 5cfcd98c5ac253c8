# Every sentence a person can read, in English. `de.ftl` has the same ids and the same variables.
# Messages are Telegram's HTML, and what is put in is escaped before; buttons, notes and the menu are plain text.

### Commands: what the menu and /help say about them.
command-search = Find a creator by name
command-random = Show a creator by chance
command-status = What is under way for you
command-cancel = Stop what is under way
command-settings = Language, and what I remember
command-privacy = What I keep about you, and for how long
command-help = What I can do

### Greeting and help.
welcome =
    👋 <b>Welcome!</b>

    Send me the name of a creator and I will find them, also when it is misspelt.

    Try <code>luna marlow</code>, or /random for a surprise. /help says more.
help =
    <b>What I can do</b>

    • Send a name, or part of one: I search.
    • /search NAME does the same.
    • /random shows a creator by chance.
    • /status says what is under way for you, /cancel stops it.
    • /settings changes the language and makes me forget you, /privacy says what I keep.

    The buttons under my messages lead on: open a creator, page through the items, filter them, go back.
privacy =
    <b>What I keep about you</b>

    • Your numeric Telegram id, and what you searched, saw and set in this chat: until a day after you last wrote or pressed a button.
    • A language that you chose: 180 days.
    • Answers: 5 minutes. Which messages I answered: 25 hours, without their text.
    • That I cannot write to a chat any more: 30 days.
    • A question that failed for good, with your id: until newer ones take its place or whoever runs me removes it.

    My log holds no messages and no names. I keep no profile and send nothing to advertisers. What you ask goes, with your id, to the plugins of whoever runs me, and the words of a search to their forum or database where they have one. For what Telegram keeps, see Telegram.

    <b>How to be forgotten</b>

    /settings has the button “Forget me”: it removes at once what I remember of you in this chat. The rest ends by itself, as said above.
help-group =
    <b>What I can do here</b>

    • /search NAME, or a message that mentions @{ $bot } with a name: I search, also when it is misspelt.
    • /random shows a creator by chance.
    • A reply to one of my messages is meant for me as well.
    • /status says what is under way for you, /cancel stops it, /settings is for you alone, /privacy says what I keep.

    The buttons under an answer are for whoever asked.
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
command-needs = There is something missing, for instance: <code>/{ $command } { $example }</code>
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
gone-button = Nobody is there to do this at the moment. Please try again later.

### Limits.
busy = 🙏 I am very busy at the moment. Please try again in a minute.
busy-kept = ⏳ I am busy at the moment. Your question is kept and will be answered; no need to send it again.
one-at-a-time = ⏳ You have several questions under way. Please wait for their answers first, or send /cancel.
slow-down = 🐢 That is too fast for me. Please wait a moment, then go on.
not-for-you = This bot is private.
cannot-show = ⚠️ I have an answer, but Telegram does not take it. Please ask differently.

### Waiting.
looking-for = 🔎 Looking for <b>{ $query }</b>…
opening = 📂 Opening <b>{ $name }</b>…
picking = 🎲 Picking somebody…
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
taking-up-again = 🔁 Something broke on the way; I am trying again…
nobody-there = ⏳ Nobody is there to answer yet. I am waiting.

### What is under way.
status-none = Nothing is under way for you. Send me a name.
status-some = <b>Under way for you</b>
status-running = runs
status-running-for = { $seconds ->
    [one] runs for a second
   *[other] runs for { $seconds } seconds
}
status-waiting = waits
status-next = is next
status-in-line = number { $place } in line, { $wait }
status-in-line-only = number { $place } in line
status-again = will be tried again
cancelled-none = Nothing is under way for you that I could stop.
cancelled-some = { $count ->
    [one] ✋ Stopped.
   *[other] ✋ Stopped { $count } questions.
}

### What a question is called in a list.
what-search = the search for { $query }
what-extended = the further search for { $query }
what-random = a creator by chance
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
content-full = That is as far as I show. The rest is at { $name }.
untitled = Untitled
nothing-to-show = ✅ Done. There is nothing to show.
album-failed = 🔗 Telegram could not load these here. The links:

### Settings.
settings =
    ⚙️ <b>Settings</b>

    Language: { $language }
settings-language-auto = { $name }, as in your Telegram
settings-changed = Changed.
forget-sure =
    🗑 I would forget what you searched, saw and set in this chat, and stop what is under way. Buttons under older messages will not work any more.

    Shall I?
forgotten = 🗑 Forgotten. You can begin anew at any time.

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
button-auto = As in Telegram
button-forget = 🗑 Forget me
button-forget-sure = Yes, forget
button-back = ↩ Back

### What went wrong, by the code of the failure. The way on follows from the sentence.
failure = Something went wrong. Please try again.
failure-not-understood = I could not understand that.
failure-too-long = That was too much text for me.
failure-nobody = Nobody is there to answer this at the moment. Please try again later.
failure-not-found = I found nothing.
failure-cannot = I cannot answer this.
extended-cannot = There is no further search here.
random-nobody = I have nobody else to show you at the moment.
failure-service = A service I depend on does not answer. Please try again later.
failure-broke = Something broke while I was answering. Please try again.
failure-took-too-long = That took too long, so I stopped. Please try again.
failure-too-much = That was too much at once. Please ask for something smaller.
failure-too-much-lookup = I would have had to look up too much for that. Please ask for something smaller.
failure-accident = Something went wrong on my side. Please try again.
failure-late = I did not get to it in time. Please try again.
failure-cancelled = Stopped.
