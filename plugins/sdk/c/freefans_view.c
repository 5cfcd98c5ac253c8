/* Views: what a chat shows, within the limits of the contract. */
#include <string.h>

#include "freefans_plugin.h"

#define MAX_TEXT_CHARS 16000
#define MAX_TEXT_BYTES (32 << 10)
#define MAX_ITEMS 50
#define MAX_TITLE_CHARS 120
#define MAX_ITEM_TEXT_CHARS 300
#define MAX_MEDIA 10
#define MAX_CAPTION_CHARS 200
#define MAX_ROWS 8
#define MAX_IN_ROW 4
#define MAX_BUTTONS 24
#define MAX_LABEL_CHARS 48
#define MAX_PARAMS_BYTES (2 << 10)
#define MAX_PARAMS_LEVELS 32
#define MAX_ADDRESS_BYTES 2048
#define MAX_BYTES (48 << 10)
#define MAX_TYPE_CHARS 64

struct ff_view {
    const char *text;
    ff_json *items, *media, *rows, *next;
    ff_json *row; /* NULL: the next button begins one. */
    size_t buttons;
    const char *problem;
};

/* Bytes of a text's first `limit` characters. */
static size_t bytes_of(const char *text, size_t limit) {
    size_t at = 0;
    for (; text[at] != 0; at++) {
        bool begins = ((unsigned char)text[at] & 0xc0) != 0x80;
        if (begins && limit-- == 0) break;
    }
    return at;
}

char *ff_cut(const char *text, size_t limit) {
    if (text[bytes_of(text, limit)] == 0) return ff_format("%s", text);
    return ff_format("%.*s…", (int)bytes_of(text, limit - 1), text);
}

char *ff_escape(const char *text) {
    char *escaped = ff_allocate(strlen(text) * 2 + 1), *end = escaped;
    for (; *text != 0; text++) {
        if (strchr("\\`*_[]<>#~", *text) != NULL) *end++ = '\\';
        *end++ = *text;
    }
    return escaped;
}

static void wrong(ff_view *view, const char *problem) {
    if (view->problem == NULL) view->problem = problem;
}

/* A text that is not blank, cut. */
static ff_json *filled(ff_view *view, const char *text, size_t limit, const char *what) {
    if (text[strspn(text, " \t\r\n")] == 0) wrong(view, ff_format("%s is empty", what));
    return ff_text(ff_cut(text, limit));
}

static ff_json *address(ff_view *view, const char *url) {
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    bool hosted = scheme > 0 && strchr("/?# \t\r\n", url[scheme]) == NULL;
    if (!hosted || strlen(url) > MAX_ADDRESS_BYTES) {
        const char *rule = "an address is http or https, at most %d bytes: %s";
        wrong(view, ff_format(rule, MAX_ADDRESS_BYTES, ff_cut(url, 100)));
    }
    return ff_text(url);
}

static size_t levels(const ff_json *value) {
    size_t deepest = 0;
    for (size_t i = 0; i < ff_count(value); i++) {
        size_t below = levels(ff_at(value, i));
        if (below > deepest) deepest = below;
    }
    return deepest + 1;
}

static void set_request(ff_view *view, ff_json *button, const char *task_type, ff_json *params) {
    size_t length = strlen(task_type);
    bool letter_first = *task_type >= 'a' && *task_type <= 'z';
    if (!letter_first || length > MAX_TYPE_CHARS
        || strspn(task_type, "abcdefghijklmnopqrstuvwxyz0123456789_") != length) {
        const char *rule = "`%s` is no task type: 1 to %d lower case letters, digits and _, a letter first";
        wrong(view, ff_format(rule, ff_cut(task_type, 100), MAX_TYPE_CHARS));
    }
    if (params == NULL) params = ff_object();
    if (ff_kind_of(params) != FF_OBJECT) {
        wrong(view, ff_format("the params of `%s` are no object", task_type));
    }
    size_t bytes = strlen(ff_write(params)), depth = levels(params);
    if (bytes > MAX_PARAMS_BYTES || depth > MAX_PARAMS_LEVELS) {
        const char *rule = "the params of `%s` have %zu bytes and %zu levels; at most %d bytes and %d levels fit a button";
        wrong(view, ff_format(rule, task_type, bytes, depth, MAX_PARAMS_BYTES, MAX_PARAMS_LEVELS));
    }
    ff_set(button, "task_type", ff_text(task_type));
    ff_set(button, "params", params);
}

static void add(ff_view *view, ff_json *list, ff_json *value, size_t limit, const char *what) {
    if (ff_count(list) == limit) wrong(view, ff_format("a view has at most %zu %s", limit, what));
    ff_push(list, value);
}

ff_view *ff_view_new(const char *text) {
    ff_view *view = ff_allocate(sizeof *view);
    char *shown = ff_cut(text, MAX_TEXT_CHARS);
    if (strlen(shown) > MAX_TEXT_BYTES) {
        /* Back to where a character begins, with room for the ellipsis. */
        size_t end = MAX_TEXT_BYTES - strlen("…");
        while (((unsigned char)shown[end] & 0xc0) == 0x80) end--;
        shown = ff_format("%.*s…", (int)end, shown);
    }
    view->text = shown;
    view->items = ff_list();
    view->media = ff_list();
    view->rows = ff_list();
    return view;
}

void ff_view_item(ff_view *view, const char *title, const char *url, const char *text) {
    ff_json *item = ff_object();
    ff_set(item, "title", filled(view, title, MAX_TITLE_CHARS, "an item's title"));
    if (url != NULL) ff_set(item, "url", address(view, url));
    if (text != NULL) ff_set(item, "text", ff_text(ff_cut(text, MAX_ITEM_TEXT_CHARS)));
    add(view, view->items, item, MAX_ITEMS, "items");
}

static void add_media(ff_view *view, const char *type, const char *url, const char *caption) {
    ff_json *media = ff_object();
    ff_set(media, "type", ff_text(type));
    ff_set(media, "url", address(view, url));
    if (caption != NULL) ff_set(media, "caption", ff_text(ff_cut(caption, MAX_CAPTION_CHARS)));
    add(view, view->media, media, MAX_MEDIA, "media");
}

void ff_view_photo(ff_view *view, const char *url, const char *caption) {
    add_media(view, "photo", url, caption);
}

void ff_view_video(ff_view *view, const char *url, const char *caption) {
    add_media(view, "video", url, caption);
}

void ff_view_row(ff_view *view) { view->row = NULL; }

static ff_json *add_button(ff_view *view, const char *label) {
    if (view->row == NULL) {
        view->row = ff_list();
        add(view, view->rows, view->row, MAX_ROWS, "rows of buttons");
    }
    if (++view->buttons > MAX_BUTTONS) {
        wrong(view, ff_format("a view has at most %d buttons", MAX_BUTTONS));
    }
    ff_json *button = ff_object();
    ff_set(button, "text", filled(view, label, MAX_LABEL_CHARS, "a button's text"));
    add(view, view->row, button, MAX_IN_ROW, "buttons in a row");
    return button;
}

void ff_view_ask(ff_view *view, const char *label, const char *task_type, ff_json *params) {
    set_request(view, add_button(view, label), task_type, params);
}

void ff_view_link(ff_view *view, const char *label, const char *url) {
    ff_set(add_button(view, label), "url", address(view, url));
}

void ff_view_next(ff_view *view, const char *task_type, ff_json *params) {
    view->next = ff_object();
    set_request(view, view->next, task_type, params);
}

ff_json *ff_view_json(ff_view *view) {
    bool blank = view->text[strspn(view->text, " \t\r\n")] == 0;
    if (blank && ff_count(view->items) == 0 && ff_count(view->media) == 0) {
        wrong(view, "a view needs text, items or media: without them it is not shown");
    }
    ff_json *json = ff_object();
    ff_set(json, "version", ff_number(1));
    ff_set(json, "text", ff_text(view->text));
    if (ff_count(view->items) > 0) ff_set(json, "items", view->items);
    if (ff_count(view->media) > 0) ff_set(json, "media", view->media);
    if (ff_count(view->rows) > 0) ff_set(json, "buttons", view->rows);
    if (view->next != NULL) ff_set(json, "next", view->next);
    size_t bytes = strlen(ff_write(json));
    if (bytes > MAX_BYTES) {
        const char *rule = "a view has at most %d bytes, not %zu: show less, and the rest by `next`";
        wrong(view, ff_format(rule, MAX_BYTES, bytes));
    }
    return view->problem == NULL ? json : NULL;
}

const char *ff_view_problem(const ff_view *view) { return view->problem; }
