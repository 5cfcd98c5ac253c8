/* The host of a plain test: nothing is configured, granted or kept, and the log goes to standard error. */
#include <stdio.h>

#include "freefans_plugin.h"

void ff_log(ff_level level, const char *message) { fprintf(stderr, "log %d: %s\n", (int)level, message); }

const char *ff_config(const char *key, const char *otherwise) {
    (void)key;
    return otherwise;
}

ff_bytes ff_data(const char *name) {
    (void)name;
    return (ff_bytes){0};
}

ff_bytes ff_cache_get(const char *key) {
    (void)key;
    return (ff_bytes){0};
}

bool ff_cache_set(const char *key, const void *bytes, size_t length, uint32_t ttl_seconds) {
    (void)key, (void)bytes, (void)length, (void)ttl_seconds;
    return false;
}

void ff_progress(const char *text, int percent) { fprintf(stderr, "%d %%: %s\n", percent, text); }
