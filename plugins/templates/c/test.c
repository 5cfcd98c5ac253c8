/* The plugin in a plain program: `./build test`. A failed check ends it with the line. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "freefans_plugin.h"

static ff_answer ask(const char *params, uint64_t seed) {
    ff_task task = {.task_id = "t-1", .attempt = 1, .time_left_ms = 30000, .random = seed};
    ff_json *read = ff_parse(params, strlen(params));
    assert(read != NULL);
    return ff_handle("PLUGIN_TYPE", &task, read);
}

static void one_word_is_chosen(void) {
    ff_answer answer = ask(FF_JSON({"text": "tea"}), 7);
    assert(answer.outcome == FF_OK);
    const char *expected =
        "{\"words\":[\"tea\"],\"chosen\":\"tea\",\"view\":{\"version\":1,\"text\":\"**PLUGIN_TITLE** chooses **tea**.\","
        "\"items\":[{\"title\":\"tea\"}],"
        "\"buttons\":[[{\"text\":\"Again\",\"task_type\":\"PLUGIN_TYPE\",\"params\":{\"text\":\"tea\"}}]]}}";
    assert(strcmp(ff_write(answer.data), expected) == 0);
}

static void chance_decides(void) {
    bool seen[2] = {false, false};
    for (uint64_t seed = 0; seed < 50; seed++) {
        const char *chosen = ff_text_of(ask("{}", seed).data, "chosen", "");
        seen[strcmp(chosen, "tails") == 0] = true;
    }
    assert(seen[0] && seen[1]);
}

static void no_words_are_answered_kindly(void) {
    ff_answer answer = ask(FF_JSON({"text": " "}), 7);
    assert(answer.outcome == FF_INVALID);
    assert(strstr(answer.reason, "for instance") != NULL);
}

static void markup_is_shown_as_it_is(void) {
    ff_answer answer = ask(FF_JSON({"text": "a*b"}), 7);
    const ff_json *view = ff_member(answer.data, "view");
    assert(strcmp(ff_text_of(view, "text", ""), "**PLUGIN_TITLE** chooses **a\\*b**.") == 0);
}

int main(void) {
    one_word_is_chosen();
    chance_decides();
    no_words_are_answered_kindly();
    markup_is_shown_as_it_is();
    puts("4 passed, 0 failed");
    return 0;
}
