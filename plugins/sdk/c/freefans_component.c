/* Connects a plugin to the host. `bindings/` is what `wit-bindgen c --no-object-file --world plugin` 0.62.0 makes of the contract. */
#include <string.h>

#include "bindings/plugin.h"
#include "freefans_plugin.h"

/* The bindings name it; `wasm-tools component embed` adds what would stand there. */
void __component_type_object_force_link_plugin(void) {}

static plugin_string_t to_host(const char *text) {
    return (plugin_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

/* With the 0 that the host does not send. */
static const char *from_host(plugin_string_t text) {
    char *copy = ff_allocate(text.len + 1);
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    return copy;
}

void ff_log(ff_level level, const char *message) {
    plugin_string_t text = to_host(message);
    freefans_plugin_log_write((freefans_plugin_log_level_t)level, &text);
}

const char *ff_config(const char *key, const char *otherwise) {
    plugin_string_t name = to_host(key), value;
    return freefans_plugin_config_get(&name, &value) ? from_host(value) : otherwise;
}

ff_bytes ff_data(const char *name) {
    plugin_string_t key = to_host(name);
    plugin_list_u8_t read;
    freefans_plugin_data_data_error_t error;
    if (!freefans_plugin_data_read(&key, &read, &error)) {
        static const char *const why[] = {"is not in [grants.data]", "is too large", "cannot be read at the moment"};
        ff_log(FF_WARN, ff_format("the data file `%s` %s", name, why[error.tag]));
        return (ff_bytes){0};
    }
    return (ff_bytes){.bytes = read.ptr, .length = read.len};
}

ff_bytes ff_cache_get(const char *key) {
    plugin_string_t name = to_host(key);
    plugin_option_list_u8_t entry;
    freefans_plugin_cache_cache_error_t error;
    if (!freefans_plugin_cache_get(&name, &entry, &error) || !entry.is_some) return (ff_bytes){0};
    return (ff_bytes){.bytes = entry.val.ptr, .length = entry.val.len};
}

bool ff_cache_set(const char *key, const void *bytes, size_t length, uint32_t ttl_seconds) {
    plugin_string_t name = to_host(key);
    plugin_list_u8_t value = {.ptr = (uint8_t *)bytes, .len = length};
    freefans_plugin_cache_cache_error_t error;
    return freefans_plugin_cache_set(&name, &value, ttl_seconds, &error);
}

void ff_progress(const char *text, int percent) {
    plugin_string_t shown = to_host(text);
    uint8_t known = (uint8_t)(percent > 100 ? 100 : percent);
    freefans_plugin_progress_report(&shown, percent < 0 ? NULL : &known);
}

void exports_plugin_describe(plugin_descriptor_t *described) {
    size_t count = plugin.task_type_count;
    freefans_plugin_types_task_type_t *types = ff_allocate(count * sizeof *types);
    for (size_t i = 0; i < count; i++) {
        types[i].name = to_host(plugin.task_types[i].name);
        types[i].summary = to_host(plugin.task_types[i].summary);
        types[i].params_schema = to_host(plugin.task_types[i].params_schema);
    }
    described->name = to_host(plugin.name);
    described->version = to_host(plugin.version);
    described->task_types.ptr = types;
    described->task_types.len = count;
    described->extensions = to_host(plugin.extensions);
}

bool exports_plugin_init(plugin_string_t *refusal) {
    const char *reason = plugin.prepare == NULL ? NULL : plugin.prepare();
    if (reason != NULL) *refusal = to_host(reason);
    return reason == NULL;
}

/* In place of those of the bindings, which free what was answered: it may be a text of the source, and the instance ends anyway. */
#define AFTER(function) __attribute__((__export_name__("cabi_post_" #function))) \
    void __wasm_export_exports_plugin_##function##_post_return(uint8_t *answer) { (void)answer; }
AFTER(describe)
AFTER(init)
AFTER(handle)

static bool failed(const ff_answer *answer, plugin_failure_t *failure) {
    plugin_string_t reason = to_host(answer->reason == NULL ? "" : answer->reason);
    switch (answer->outcome) {
    case FF_OK: return false;
    case FF_INVALID:
        failure->tag = FREEFANS_PLUGIN_TYPES_FAILURE_INVALID;
        failure->val.invalid = reason;
        return true;
    case FF_NOT_FOUND:
        failure->tag = FREEFANS_PLUGIN_TYPES_FAILURE_NOT_FOUND;
        failure->val.not_found = reason;
        return true;
    case FF_RETRY:
        failure->tag = FREEFANS_PLUGIN_TYPES_FAILURE_RETRY;
        failure->val.retry.reason = reason;
        failure->val.retry.after_ms.is_some = answer->after_ms > 0;
        failure->val.retry.after_ms.val = answer->after_ms;
        return true;
    case FF_FATAL: break;
    }
    failure->tag = FREEFANS_PLUGIN_TYPES_FAILURE_FATAL;
    failure->val.fatal = reason;
    return true;
}

bool exports_plugin_handle(plugin_task_t *asked, plugin_output_t *output, plugin_failure_t *failure) {
    ff_task task = {
        .task_id = from_host(asked->id),
        .user_id = asked->user_id,
        .attempt = asked->attempt,
        .time_left_ms = asked->time_left_ms,
        .random = asked->seed,
    };
    ff_json *params = ff_parse((const char *)asked->params.ptr, asked->params.len);
    ff_answer answer = params == NULL ? ff_invalid("the params are no JSON")
                                      : ff_handle(from_host(asked->task_type), &task, params);
    if (failed(&answer, failure)) return false;
    output->data = to_host(ff_write(answer.data));
    output->metadata = to_host("{}");
    return true;
}
