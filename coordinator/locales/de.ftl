# Alle Sätze auf Deutsch; die gleichen Namen und Variablen wie in `en.ftl`.

### Befehle.
command-search = Jemanden nach Namen suchen
command-random = Zufällig jemanden zeigen
command-status = Was für dich gerade läuft
command-cancel = Abbrechen, was gerade läuft
command-settings = Sprache, und was ich mir merke
command-privacy = Was ich über dich speichere, und wie lange
command-help = Was ich kann

### Begrüßung und Hilfe.
welcome =
    👋 <b>Willkommen!</b>

    Schick mir den Namen von jemandem, und ich suche; Tippfehler machen nichts.

    Versuch <code>luna marlow</code>, oder /random für eine Überraschung. Mehr sagt /help.
help =
    <b>Was ich kann</b>

    • Schick einen Namen oder einen Teil davon: Ich suche.
    • /search NAME tut dasselbe.
    • /random zeigt zufällig jemanden.
    • /status sagt, was für dich gerade läuft, /cancel bricht es ab.
    • /settings ändert die Sprache und lässt mich dich vergessen, /privacy sagt, was ich speichere.

    Die Knöpfe unter meinen Nachrichten führen weiter: jemanden öffnen, durch die Einträge blättern, filtern, zurück.
privacy =
    <b>Was ich über dich speichere</b>

    • Deine Telegram-Nummer, und was du in diesem Chat gesucht, gesehen und eingestellt hast: bis einen Tag, nachdem du zuletzt geschrieben oder einen Knopf gedrückt hast.
    • Eine Sprache, die du gewählt hast: 180 Tage.
    • Antworten: 5 Minuten. Welche Nachrichten ich beantwortet habe: 25 Stunden, ohne ihren Text.
    • Dass ich in einen Chat nicht mehr schreiben kann: 30 Tage.
    • Was aus jeder deiner Fragen wurde und wann, mit deiner Nummer und der des Chats: 7 Tage, oder so lange mein Betreiber es will. Nicht, was du gefragt hast, außer mein Betreiber hebt Texte auf.
    • Eine Frage, die endgültig gescheitert ist, mit deiner Nummer: bis neuere ihren Platz einnehmen oder mein Betreiber sie löscht.

    In meinem Protokoll stehen keine Nachrichten und keine Namen. Ich führe kein Profil und gebe nichts für Werbung weiter. Was du fragst, geht mit deiner Nummer an die Plugins meines Betreibers, und die Worte einer Suche an sein Forum oder seine Datenbank, wenn er sie hat. Was Telegram speichert, sagt Telegram.

    <b>Wie du vergessen wirst</b>

    /settings hat den Knopf „Vergiss mich“: Er löscht sofort, was ich mir in diesem Chat über dich gemerkt habe, und was aus deinen Fragen in allen Chats wurde. Der Rest endet von selbst, wie oben gesagt.
help-group =
    <b>Was ich hier kann</b>

    • /search NAME, oder eine Nachricht, die @{ $bot } und einen Namen nennt: Ich suche; Tippfehler machen nichts.
    • /random zeigt zufällig jemanden.
    • Auch eine Antwort auf eine meiner Nachrichten ist für mich bestimmt.
    • /status sagt, was für dich gerade läuft, /cancel bricht es ab, /settings gilt nur für dich, /privacy sagt, was ich speichere.

    Die Knöpfe unter einer Antwort sind für die Person, die gefragt hat.
help-plugins = <b>Und außerdem</b>
help-admin =
    <b>Für die Administration</b>

    /stats zeigt die Warteschlange, /plugins die Worker und ihre Plugins.

### Tasten unter dem Eingabefeld.
key-search = 🔎 Suchen
key-random = 🎲 Zufall
key-status = ⏳ Status
key-settings = ⚙️ Einstellungen

### Was nicht zu verstehen ist.
search-what = Wen soll ich suchen? Schick mir einen Namen, zum Beispiel <code>luna marlow</code>.
search-what-group = Wen soll ich suchen? Schreib zum Beispiel <code>/search luna marlow</code>.
unknown-command = Diesen Befehl kenne ich nicht. Was ich kann, sagt /help.
command-gone = /{ $command } gibt es im Moment nicht. Bitte versuch es später noch einmal.
command-needs = Da fehlt noch etwas, zum Beispiel: <code>/{ $command } { $example }</code>
nothing-to-search = Bitte schick einen Namen mit mindestens einem Buchstaben oder einer Ziffer.
too-long = Das ist zu lang für einen Namen. Bitte schick höchstens 200 Zeichen.
too-much-text = Das ist zu viel Text. Bitte schick höchstens { $most } Zeichen.
text-only = Ich verstehe nur Text. Schick mir einen Namen.
unreadable = Ich konnte diese Nachricht nicht lesen. Bitte schick sie noch einmal, als einfachen Text.

### Knöpfe, die nirgendwohin führen.
stale-button = Diese Knöpfe gelten nicht mehr. Bitte such noch einmal.
foreign-button = Diese Knöpfe gehören jemand anderem. Frag selbst mit /search.
administrators-button = Das wurde im Namen der Gruppe gefragt. Nur ihre Administratoren können diese Knöpfe benutzen.
channels-button = Das hat ein Kanal gefragt, und ich sehe nicht, wer für ihn handeln darf. Frag selbst mit /search.
gone-button = Das ist gerade nicht verfügbar. Bitte versuch es später noch einmal.

### Grenzen.
busy = 🙏 Ich habe gerade sehr viel zu tun. Bitte versuch es in einer Minute noch einmal.
busy-kept = ⏳ Ich bin gerade überlastet. Deine Frage ist gemerkt und wird beantwortet; du musst sie nicht noch einmal schicken.
one-at-a-time = ⏳ Für dich laufen schon mehrere Anfragen. Bitte warte erst auf die Antworten, oder schick /cancel.
slow-down = 🐢 Das ist mir zu schnell. Bitte warte einen Augenblick, dann geht es weiter.
not-for-you = Dieser Bot ist privat.
cannot-show = ⚠️ Ich habe eine Antwort, aber Telegram nimmt sie nicht an. Bitte formuliere es anders.

### Warten.
looking-for = 🔎 Ich suche <b>{ $query }</b>…
opening = 📂 Ich öffne <b>{ $name }</b>…
picking = 🎲 Ich wähle jemanden aus…
working-on = ⚙️ Ich arbeite an <b>{ $what }</b>…
note-looking-for = Ich suche { $query }…
note-opening = Ich öffne { $name }…
note-more = Ich lade mehr…
note-album = Ich schicke es…
note-working = Ich arbeite daran…
next-in-line = ⏳ Du bist als Nächstes dran.
in-line = ⏳ Nummer { $place } in der Warteschlange, { $wait }.
in-line-only = ⏳ Nummer { $place } in der Warteschlange.
wait-moment = ein paar Sekunden
wait-seconds = etwa { $seconds } Sekunden
wait-minutes = { $minutes ->
    [one] etwa eine Minute
   *[other] etwa { $minutes } Minuten
}
taking-up-again = 🔁 Unterwegs ist etwas schiefgegangen; ich versuche es noch einmal…
nobody-there = ⏳ Es ist noch niemand da, der antwortet. Ich warte.

### Was läuft.
status-none = Für dich läuft gerade nichts. Schick mir einen Namen.
status-some = <b>Für dich läuft</b>
status-running = läuft
status-running-for = { $seconds ->
    [one] läuft seit einer Sekunde
   *[other] läuft seit { $seconds } Sekunden
}
status-waiting = wartet
status-next = ist als Nächstes dran
status-in-line = Nummer { $place } in der Warteschlange, { $wait }
status-in-line-only = Nummer { $place } in der Warteschlange
status-again = wird noch einmal versucht
cancelled-none = Für dich läuft nichts, was ich abbrechen könnte.
cancelled-some = { $count ->
    [one] ✋ Abgebrochen.
   *[other] ✋ { $count } Anfragen abgebrochen.
}

### Wie eine Frage in einer Liste heißt.
what-search = die Suche nach { $query }
what-extended = die weitere Suche nach { $query }
what-random = ein zufälliger Vorschlag
what-content = die Einträge von { $name }

### Ergebnisse.
found = ✅ Gefunden: <b>{ $query }</b>
closest = 🔎 Ähnliche Namen wie <b>{ $query }</b>:
forum-results = 🔎 Treffer im Forum für <b>{ $query }</b>:
nothing-found = 🤷 Nichts gefunden zu <b>{ $query }</b>.
nothing-on-page = 🤷 Auf dieser Seite ist nichts zu <b>{ $query }</b>. Es gibt weitere.
try-otherwise = Versuch eine andere Schreibweise oder einen kürzeren Teil des Namens.
page-of = Seite { $page } von { $pages }
page = Seite { $page }
how-about = 🎲 Wie wäre es mit <b>{ $name }</b>?
items = { $count ->
    [one] { $count } Eintrag
   *[other] { $count } Einträge
}
replies = { $count ->
    [one] { $count } Antwort
   *[other] { $count } Antworten
}
content-title = 📂 <b>{ $name }</b> · { $items }
content-empty = 📂 <b>{ $name }</b> hat keine Einträge, die ich zeigen könnte.
content-empty-filter = 📂 <b>{ $name }</b> hat keine solchen Einträge.
content-full = Mehr zeige ich hier nicht. Der Rest ist bei { $name }.
untitled = Ohne Titel
nothing-to-show = ✅ Erledigt. Zu zeigen gibt es nichts.
album-failed = 🔗 Telegram konnte das hier nicht laden. Die Links:

### Einstellungen.
settings =
    ⚙️ <b>Einstellungen</b>

    Sprache: { $language }
settings-language-auto = { $name }, wie in deinem Telegram
settings-changed = Geändert.
forget-sure =
    🗑 Ich würde vergessen, was du in diesem Chat gesucht, gesehen und eingestellt hast, und abbrechen, was läuft. Knöpfe unter älteren Nachrichten gelten dann nicht mehr.

    Soll ich?
forgotten = 🗑 Vergessen. Du kannst jederzeit neu anfangen.

### Knöpfe.
button-extended = 🔎 Weiter suchen
button-results = ↩ Ergebnisse
button-previous = ◀ Zurück
button-next = Weiter ▶
button-more = ⬇ Mehr laden
button-items = 📂 Einträge zeigen
button-another = 🎲 Jemand anderes
button-open = Seite öffnen
button-all = Alle
button-pictures = 🖼 Bilder
button-videos = 🎬 Videos
button-album = 👁 Hier zeigen
button-cancel = ✖ Abbrechen
button-try-again = 🔁 Noch einmal
button-auto = Wie in Telegram
button-forget = 🗑 Vergiss mich
button-forget-sure = Ja, vergessen
button-back = ↩ Zurück

### Was schiefging.
failure = Etwas ist schiefgegangen. Bitte versuch es noch einmal.
failure-not-understood = Das konnte ich nicht verstehen.
failure-too-long = Das war zu viel Text für mich.
failure-nobody = Im Moment ist niemand da, der das beantwortet. Bitte versuch es später noch einmal.
failure-not-found = Ich habe nichts gefunden.
failure-cannot = Das kann ich nicht beantworten.
extended-cannot = Eine weitere Suche gibt es hier nicht.
random-nobody = Im Moment kann ich dir niemand anderen zeigen.
failure-service = Ein Dienst, den ich brauche, antwortet nicht. Bitte versuch es später noch einmal.
failure-broke = Beim Antworten ist etwas schiefgegangen. Bitte versuch es noch einmal.
failure-took-too-long = Das hat zu lange gedauert, deshalb habe ich aufgehört. Bitte versuch es noch einmal.
failure-too-much = Das war zu viel auf einmal. Bitte frag nach etwas Kleinerem.
failure-too-much-lookup = Dafür hätte ich zu viel nachsehen müssen. Bitte frag nach etwas Kleinerem.
failure-accident = Beim Antworten ist mir ein Fehler passiert. Bitte versuch es noch einmal.
failure-late = Ich bin nicht rechtzeitig dazu gekommen. Bitte versuch es noch einmal.
failure-cancelled = Abgebrochen.
