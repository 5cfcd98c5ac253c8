"""PLUGIN_TITLE: chooses one of several words. Everything in this file runs in a plain Python too: see tests/."""

# Import at the top: when a component runs there are no files, so an import inside a function fails.
import random

from freefans_plugin import Invalid, Plugin, View, ask, escape

MAX_WORDS = 50

plugin = Plugin("PLUGIN_NAME", "0.1.0")

# /PLUGIN_IDENT tea coffee   becomes a task PLUGIN_TYPE with the params {"text": "tea coffee"}.
plugin.command(
    "PLUGIN_IDENT",
    "Let PLUGIN_TITLE choose",
    task_type="PLUGIN_TYPE",
    argument={"param": "text", "required": False, "example": "tea coffee"},
)


@plugin.task(
    "PLUGIN_TYPE",
    summary="Chooses one of several words.",
    # The host refuses a task whose params do not fit, so the handler need not check them again.
    params={
        "type": "object",
        "properties": {"text": {"type": "string", "maxLength": 200}},
        "additionalProperties": False,
    },
)
def choose(params, task):
    words = params.get("text", "heads tails").split()
    if not words:
        raise Invalid("Write some words to choose from, for instance: tea coffee")
    if len(words) > MAX_WORDS:
        raise Invalid(f"I choose from at most {MAX_WORDS} words.")
    chosen = random.choice(words)
    view = View(f"**PLUGIN_TITLE** chooses **{escape(chosen)}**.")
    for word in words:
        view.item(word)
    view.row(ask("Again", "PLUGIN_TYPE", {"text": " ".join(words)}))
    return {"words": words, "chosen": chosen, "view": view.build()}
