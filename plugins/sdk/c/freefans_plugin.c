/* Tasks: answers, failures, random numbers. */
#include "freefans_plugin.h"

#include <stdlib.h>
#include <string.h>

ff_answer ff_ok(ff_json *data) { return (ff_answer){.outcome = FF_OK, .data = data}; }

ff_answer ff_show(ff_json *data, ff_view *view) {
    ff_json *shown = ff_view_json(view);
    if (shown == NULL) return ff_fatal(ff_format("the plugin made a wrong view: %s", ff_view_problem(view)));
    ff_set(data, "view", shown);
    return ff_ok(data);
}

ff_answer ff_invalid(const char *reason) {
    return (ff_answer){.outcome = FF_INVALID, .reason = reason};
}

ff_answer ff_not_found(const char *reason) {
    return (ff_answer){.outcome = FF_NOT_FOUND, .reason = reason};
}

ff_answer ff_retry(const char *reason, uint64_t after_ms) {
    return (ff_answer){.outcome = FF_RETRY, .reason = reason, .after_ms = after_ms};
}

ff_answer ff_fatal(const char *reason) {
    return (ff_answer){.outcome = FF_FATAL, .reason = reason};
}

ff_answer ff_handle(const char *task_type, ff_task *task, const ff_json *params) {
    srand((unsigned)task->random);
    for (size_t i = 0; i < plugin.task_type_count; i++) {
        const ff_task_type *known = &plugin.task_types[i];
        if (strcmp(known->name, task_type) == 0) return known->handle(task, params);
    }
    return ff_fatal(ff_format("`%s` is none of this plugin's task types", task_type));
}

/* SplitMix64 (Steele, Lea, Flood, 2014). */
uint64_t ff_random(ff_task *task) {
    uint64_t mixed = task->random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

size_t ff_random_below(ff_task *task, size_t count) { return (size_t)(ff_random(task) % count); }
