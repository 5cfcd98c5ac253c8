/* Views and JSON of the library for C. `cargo xtask languages` compiles and runs it. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "freefans_plugin.h"

const ff_plugin plugin = {.name = "dice"};

static char *repeated(const char *text, size_t count) {
    char *made = ff_allocate(strlen(text) * count + 1);
    for (size_t i = 0; i < count; i++) strcat(made, text);
    return made;
}

static size_t characters(const char *text) {
    size_t count = 0;
    for (; *text != 0; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void refused(ff_view *view, const char *rule) {
    assert(ff_view_json(view) == NULL);
    if (strstr(ff_view_problem(view), rule) == NULL) printf("%s: %s\n", rule, ff_view_problem(view));
    assert(strstr(ff_view_problem(view), rule) != NULL);
}

static void all_parts_are_as_the_contract_has_them(void) {
    ff_view *view = ff_view_new("Hello");
    ff_view_item(view, "One", "https://c.example/1", "more");
    ff_view_photo(view, "https://c.example/1.jpg", "A picture");
    ff_json *dice = ff_object();
    ff_set(dice, "dice", ff_text("2d6"));
    ff_view_ask(view, "Again", "roll", dice);
    ff_view_link(view, "Page", "https://c.example");
    ff_view_next(view, "roll", NULL);
    const char *expected =
        "{\"version\":1,\"text\":\"Hello\","
        "\"items\":[{\"title\":\"One\",\"url\":\"https://c.example/1\",\"text\":\"more\"}],"
        "\"media\":[{\"type\":\"photo\",\"url\":\"https://c.example/1.jpg\",\"caption\":\"A picture\"}],"
        "\"buttons\":[[{\"text\":\"Again\",\"task_type\":\"roll\",\"params\":{\"dice\":\"2d6\"}},"
        "{\"text\":\"Page\",\"url\":\"https://c.example\"}]],"
        "\"next\":{\"task_type\":\"roll\",\"params\":{}}}";
    assert(strcmp(ff_write(ff_view_json(view)), expected) == 0);
}

static void long_texts_are_cut(void) {
    ff_view *view = ff_view_new(repeated("ü", 16001));
    ff_view_item(view, repeated("x", 121), NULL, repeated("y", 301));
    const ff_json *json = ff_view_json(view);
    assert(characters(ff_text_of(json, "text", "")) == 16000);
    const ff_json *item = ff_at(ff_member(json, "items"), 0);
    assert(characters(ff_text_of(item, "title", "")) == 120);
    assert(characters(ff_text_of(item, "text", "")) == 300);
    const char *waves = ff_text_of(ff_view_json(ff_view_new(repeated("🌊", 16000))), "text", "");
    assert(strlen(waves) <= 32 << 10 && strcmp(waves + strlen(waves) - strlen("🌊…"), "🌊…") == 0);
}

static void what_breaks_a_rule_is_told_with_the_limit(void) {
    ff_view *view = ff_view_new("x");
    for (int i = 0; i < 51; i++) ff_view_item(view, "x", NULL, NULL);
    refused(view, "at most 50 items");
    view = ff_view_new("x");
    for (int i = 0; i < 11; i++) ff_view_video(view, "http://c.example", NULL);
    refused(view, "at most 10 media");
    view = ff_view_new("x");
    for (int i = 0; i < 9; i++) ff_view_ask(view, "x", "roll", NULL), ff_view_row(view);
    refused(view, "at most 8 rows");
    view = ff_view_new("x");
    for (int i = 0; i < 5; i++) ff_view_ask(view, "x", "roll", NULL);
    refused(view, "at most 4 buttons");
    view = ff_view_new("x");
    for (int i = 0; i < 25; i++) {
        if (i % 4 == 0) ff_view_row(view);
        ff_view_ask(view, "x", "roll", NULL);
    }
    refused(view, "at most 24 buttons");
    view = ff_view_new("x");
    ff_view_link(view, "x", "ftp://c.example");
    refused(view, "http or https");
    view = ff_view_new("x");
    ff_view_ask(view, "x", "Roll", NULL);
    refused(view, "no task type");
    view = ff_view_new("x");
    ff_json *large = ff_object();
    ff_set(large, "x", ff_text(repeated("y", 2048)));
    ff_view_ask(view, "x", "roll", large);
    refused(view, "2048 bytes and 32 levels");
    refused(ff_view_new(" "), "needs text");
    assert(ff_show(ff_object(), ff_view_new("")).outcome == FF_FATAL);
}

static void json_is_read_and_written(const char *text, const char *expected) {
    ff_json *read = ff_parse(text, strlen(text));
    assert((read == NULL) == (expected == NULL));
    assert(expected == NULL || strcmp(ff_write(read), expected) == 0);
}

static void each_task_has_its_own_random_numbers(void) {
    ff_task one = {.random = 1}, two = {.random = 2}, again = {.random = 1};
    uint64_t first = ff_random(&one);
    assert(first != ff_random(&two) && first == ff_random(&again));
}

int main(void) {
    all_parts_are_as_the_contract_has_them();
    long_texts_are_cut();
    what_breaks_a_rule_is_told_with_the_limit();
    json_is_read_and_written(" { \"a\" : [ 1 , -2.5e3 , true , null , \"\\u00fc\\ud83c\\udf0a\\n\" ] } ",
                             "{\"a\":[1,-2500,true,null,\"ü🌊\\u000a\"]}");
    json_is_read_and_written("\"\\ud83c\"", "\"\xef\xbf\xbd\"");
    const char *wrong[] = {"", "{", "[1,]", "{\"a\"}", "tru", "1x", "\"\\q\"", "\"", "[1] 2", "- 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) json_is_read_and_written(wrong[i], NULL);
    char *deep = ff_format("%s%s", repeated("[", 101), repeated("]", 101));
    json_is_read_and_written(deep, NULL);
    each_task_has_its_own_random_numbers();
    return 0;
}
