/* The guest library of FreeFans Workers for C.
 *
 * A plugin is one `const ff_plugin plugin` with its task types and chat commands. A handler gets the params and the task, and
 * answers with `ff_show`, `ff_ok` or a failure. Memory is never given back: every task has an instance of its own, which ends
 * with it. Running out of memory ends the task.
 *
 * freefans_component.c connects a plugin to the host, freefans_test.c to a plain test.
 */
#ifndef FREEFANS_PLUGIN_H
#define FREEFANS_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* JSON in the source without escapes: FF_JSON({"type": "object"}). */
#define FF_JSON(...) #__VA_ARGS__

/* ---- JSON ---- */

typedef enum { FF_NULL, FF_BOOL, FF_NUMBER, FF_TEXT, FF_LIST, FF_OBJECT } ff_kind;

/* One JSON value. Read it by the functions below. */
typedef struct ff_json ff_json;

/* NULL when the text is not JSON. */
ff_json *ff_parse(const char *text, size_t length);
/* The text of a value, ended by 0. */
char *ff_write(const ff_json *value);

ff_kind ff_kind_of(const ff_json *value);
/* Elements of a list or members of an object; 0 for anything else. */
size_t ff_count(const ff_json *value);
/* An element of a list; NULL when there is none. */
const ff_json *ff_at(const ff_json *list, size_t index);
/* A member of an object; NULL when there is none. */
const ff_json *ff_member(const ff_json *object, const char *name);
/* Members by name, or `otherwise` when they are absent or of another kind. */
const char *ff_text_of(const ff_json *object, const char *name, const char *otherwise);
double ff_number_of(const ff_json *object, const char *name, double otherwise);
bool ff_bool_of(const ff_json *object, const char *name, bool otherwise);

ff_json *ff_object(void);
ff_json *ff_list(void);
ff_json *ff_text(const char *text);
/* Infinities and NaN, which JSON does not have, become null. */
ff_json *ff_number(double number);
ff_json *ff_bool(bool value);
void ff_set(ff_json *object, const char *name, ff_json *value);
void ff_push(ff_json *list, ff_json *value);

/* A text made as printf does. */
char *ff_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A text that a view's markup shows as it is. */
char *ff_escape(const char *text);
/* At most `limit` characters, the last an ellipsis when some are missing. */
char *ff_cut(const char *text, size_t limit);
/* As malloc, but ends the task instead of returning NULL. */
void *ff_allocate(size_t bytes);

/* ---- Tasks ---- */

/* One task. */
typedef struct {
    const char *task_id;
    int64_t user_id;
    uint32_t attempt;
    uint64_t time_left_ms;
    /* The state of `ff_random`: the task's own seed at first. */
    uint64_t random;
} ff_task;

typedef enum { FF_OK, FF_INVALID, FF_NOT_FOUND, FF_RETRY, FF_FATAL } ff_outcome;

/* What a handler returns; made by the functions below. */
typedef struct {
    ff_outcome outcome;
    ff_json *data;
    const char *reason;
    uint64_t after_ms;
} ff_answer;

typedef struct ff_view ff_view;

/* An answer. */
ff_answer ff_ok(ff_json *data);
/* An answer, an object, with a view. A view that breaks a rule makes it `ff_fatal` with that rule. */
ff_answer ff_show(ff_json *data, ff_view *view);
/* The params make no sense: the person has to ask differently. All reasons are shown to a person. */
ff_answer ff_invalid(const char *reason);
/* The params are fine, but there is nothing to answer with. */
ff_answer ff_not_found(const char *reason);
/* Something outside is not available; the host tries again, after at least so many milliseconds if that is not 0. */
ff_answer ff_retry(const char *reason, uint64_t after_ms);
/* It will never work as things are, for instance because a setting is missing. */
ff_answer ff_fatal(const char *reason);

typedef struct {
    const char *name;
    const char *summary;
    /* JSON Schema (draft 2020-12) of the params. */
    const char *params_schema;
    ff_answer (*handle)(ff_task *task, const ff_json *params);
} ff_task_type;

typedef struct {
    const char *name;
    const char *version;
    const ff_task_type *task_types;
    size_t task_type_count;
    /* A JSON object: {"version": 1, "commands": [...]}. */
    const char *extensions;
    /* Runs once before all tasks; may be NULL. What it returns, if that is not NULL, refuses the plugin. */
    const char *(*prepare)(void);
} ff_plugin;

/* Every plugin defines it. */
extern const ff_plugin plugin;

/* Runs a handler; rand() too then starts at the task's own seed. */
ff_answer ff_handle(const char *task_type, ff_task *task, const ff_json *params);

/* The next random number of this task, by SplitMix64. */
uint64_t ff_random(ff_task *task);
/* One of 0 to `count` - 1; `count` is not 0. */
size_t ff_random_below(ff_task *task, size_t count);

/* ---- Views ---- */

/* Texts that are too long are cut. Whatever else breaks the contract is remembered, and `ff_show` reports it. */
ff_view *ff_view_new(const char *text);
/* An entry of the numbered list. `url` and `text` may be NULL. */
void ff_view_item(ff_view *view, const char *title, const char *url, const char *text);
/* `caption` may be NULL. */
void ff_view_photo(ff_view *view, const char *url, const char *caption);
void ff_view_video(ff_view *view, const char *url, const char *caption);
/* The next buttons stand in a new row. */
void ff_view_row(ff_view *view);
/* A button: a task whose answer replaces the message. `params` may be NULL. */
void ff_view_ask(ff_view *view, const char *label, const char *task_type, ff_json *params);
/* A button that opens an address. */
void ff_view_link(ff_view *view, const char *label, const char *url);
/* The last button, which starts a task. */
void ff_view_next(ff_view *view, const char *task_type, ff_json *params);
/* The view's JSON; NULL when it breaks a rule. */
ff_json *ff_view_json(ff_view *view);
/* The first rule that was broken, or NULL. */
const char *ff_view_problem(const ff_view *view);

/* ---- The host ---- */

typedef enum { FF_TRACE, FF_DEBUG, FF_INFO, FF_WARN, FF_ERROR } ff_level;

typedef struct {
    const uint8_t *bytes; /* NULL when there are none. */
    size_t length;
} ff_bytes;

/* Writes one line to the worker's log. */
void ff_log(ff_level level, const char *message);
/* A value of [config] in the settings file, always a text; `otherwise` without one. */
const char *ff_config(const char *key, const char *otherwise);
/* A file of [grants.data]. Best read once, in `prepare`. */
ff_bytes ff_data(const char *name);
/* What is under a key; nothing also without a cache. */
ff_bytes ff_cache_get(const char *key);
/* False if there is no cache or the value is too large: go on without it. */
bool ff_cache_set(const char *key, const void *bytes, size_t length, uint32_t ttl_seconds);
/* Shows the person how far a long task has come; `percent` below 0 for unknown. */
void ff_progress(const char *text, int percent);

#endif
