/* PLUGIN_TITLE: chooses one of several words. Everything in this file runs in a plain program too: see test.c. */
#include <string.h>

#include "freefans_plugin.h"

#define MAX_WORDS 50

static ff_answer choose(ff_task *task, const ff_json *params) {
    /* The host refuses a task whose params do not fit, so the handler need not check them again. */
    char *text = ff_format("%s", ff_text_of(params, "text", "heads tails"));
    const char *words[MAX_WORDS];
    size_t count = 0;
    for (char *word = strtok(text, " \t\r\n"); word != NULL; word = strtok(NULL, " \t\r\n")) {
        if (count == MAX_WORDS) return ff_invalid(ff_format("I choose from at most %d words.", MAX_WORDS));
        words[count++] = word;
    }
    if (count == 0) return ff_invalid("Write some words to choose from, for instance: tea coffee");
    const char *chosen = words[ff_random_below(task, count)];

    ff_json *listed = ff_list();
    const char *joined = "";
    ff_view *view = ff_view_new(ff_format("**PLUGIN_TITLE** chooses **%s**.", ff_escape(chosen)));
    for (size_t i = 0; i < count; i++) {
        ff_push(listed, ff_text(words[i]));
        ff_view_item(view, words[i], NULL, NULL);
        joined = ff_format("%s%s%s", joined, i == 0 ? "" : " ", words[i]);
    }
    ff_json *again = ff_object();
    ff_set(again, "text", ff_text(joined));
    ff_view_ask(view, "Again", "PLUGIN_TYPE", again);

    ff_json *answer = ff_object();
    ff_set(answer, "words", listed);
    ff_set(answer, "chosen", ff_text(chosen));
    return ff_show(answer, view);
}

static const ff_task_type task_types[] = {{
    .name = "PLUGIN_TYPE",
    .summary = "Chooses one of several words.",
    .params_schema = FF_JSON({
        "type": "object",
        "properties": {"text": {"type": "string", "maxLength": 200}},
        "additionalProperties": false
    }),
    .handle = choose,
}};

/* /PLUGIN_IDENT tea coffee   becomes a task PLUGIN_TYPE with the params {"text": "tea coffee"}. */
const ff_plugin plugin = {
    .name = "PLUGIN_NAME",
    .version = "0.1.0",
    .task_types = task_types,
    .task_type_count = sizeof task_types / sizeof *task_types,
    .extensions = FF_JSON({"version": 1, "commands": [{
        "name": "PLUGIN_IDENT",
        "description": "Let PLUGIN_TITLE choose",
        "task_type": "PLUGIN_TYPE",
        "argument": {"param": "text", "required": false, "example": "tea coffee"}
    }]}),
};
