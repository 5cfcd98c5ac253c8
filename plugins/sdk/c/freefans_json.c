/* JSON values: reading, building, writing. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "freefans_plugin.h"

/* Params have at most this many levels, by the contract. */
#define MAX_LEVELS 100

struct ff_json {
    ff_kind kind;
    bool truth;
    double number;
    char *text;
    size_t count, capacity;
    char **names; /* of an object's members */
    ff_json **values;
};

void *ff_allocate(size_t bytes) {
    void *memory = calloc(1, bytes == 0 ? 1 : bytes);
    if (memory == NULL) abort();
    return memory;
}

static char *copy(const char *text, size_t length) {
    char *made = ff_allocate(length + 1);
    memcpy(made, text, length);
    return made;
}

static ff_json *of_kind(ff_kind kind) {
    ff_json *value = ff_allocate(sizeof *value);
    value->kind = kind;
    return value;
}

ff_json *ff_object(void) { return of_kind(FF_OBJECT); }

ff_json *ff_list(void) { return of_kind(FF_LIST); }

ff_json *ff_text(const char *text) {
    ff_json *value = of_kind(FF_TEXT);
    value->text = copy(text, strlen(text));
    return value;
}

ff_json *ff_number(double number) {
    ff_json *value = of_kind(isfinite(number) ? FF_NUMBER : FF_NULL);
    value->number = number;
    return value;
}

ff_json *ff_bool(bool truth) {
    ff_json *value = of_kind(FF_BOOL);
    value->truth = truth;
    return value;
}

static void add(ff_json *parent, char *name, ff_json *value) {
    if (parent->count == parent->capacity) {
        size_t capacity = parent->capacity * 2 + 8;
        char **names = ff_allocate(capacity * sizeof *names);
        ff_json **values = ff_allocate(capacity * sizeof *values);
        if (parent->count > 0) {
            memcpy(names, parent->names, parent->count * sizeof *names);
            memcpy(values, parent->values, parent->count * sizeof *values);
        }
        parent->names = names;
        parent->values = values;
        parent->capacity = capacity;
    }
    parent->names[parent->count] = name;
    parent->values[parent->count++] = value;
}

void ff_push(ff_json *list, ff_json *value) {
    if (list->kind != FF_LIST) abort();
    add(list, NULL, value);
}

void ff_set(ff_json *object, const char *name, ff_json *value) {
    if (object->kind != FF_OBJECT) abort();
    for (size_t i = 0; i < object->count; i++) {
        if (strcmp(object->names[i], name) == 0) {
            object->values[i] = value;
            return;
        }
    }
    add(object, copy(name, strlen(name)), value);
}

ff_kind ff_kind_of(const ff_json *value) { return value->kind; }

size_t ff_count(const ff_json *value) { return value->count; }

const ff_json *ff_at(const ff_json *list, size_t index) {
    return index < list->count ? list->values[index] : NULL;
}

const ff_json *ff_member(const ff_json *object, const char *name) {
    if (object->kind != FF_OBJECT) return NULL;
    for (size_t i = 0; i < object->count; i++) {
        if (strcmp(object->names[i], name) == 0) return object->values[i];
    }
    return NULL;
}

static const ff_json *member_of_kind(const ff_json *object, const char *name, ff_kind kind) {
    const ff_json *value = ff_member(object, name);
    return value != NULL && value->kind == kind ? value : NULL;
}

const char *ff_text_of(const ff_json *object, const char *name, const char *otherwise) {
    const ff_json *value = member_of_kind(object, name, FF_TEXT);
    return value != NULL ? value->text : otherwise;
}

double ff_number_of(const ff_json *object, const char *name, double otherwise) {
    const ff_json *value = member_of_kind(object, name, FF_NUMBER);
    return value != NULL ? value->number : otherwise;
}

bool ff_bool_of(const ff_json *object, const char *name, bool otherwise) {
    const ff_json *value = member_of_kind(object, name, FF_BOOL);
    return value != NULL ? value->truth : otherwise;
}

char *ff_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) abort();
    char *text = ff_allocate((size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- Writing ---- */

typedef struct {
    char *bytes;
    size_t length, capacity;
} buffer;

static void put(buffer *out, const char *bytes, size_t length) {
    if (out->length + length > out->capacity) {
        size_t capacity = (out->length + length) * 2 + 64;
        char *larger = ff_allocate(capacity);
        if (out->length > 0) memcpy(larger, out->bytes, out->length);
        free(out->bytes);
        out->bytes = larger;
        out->capacity = capacity;
    }
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static void put_quoted(buffer *out, const char *text) {
    put(out, "\"", 1);
    for (; *text != 0; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\') {
            char escaped[2] = {'\\', *text};
            put(out, escaped, 2);
        } else if (letter < 0x20) {
            char escaped[7];
            snprintf(escaped, sizeof escaped, "\\u%04x", letter);
            put(out, escaped, 6);
        } else {
            put(out, text, 1);
        }
    }
    put(out, "\"", 1);
}

static void put_number(buffer *out, double number) {
    char text[32];
    bool whole = number == floor(number) && fabs(number) < 9007199254740992.0;
    int length = snprintf(text, sizeof text, whole ? "%.0f" : "%.17g", number);
    put(out, text, (size_t)length);
}

static void put_value(buffer *out, const ff_json *value) {
    switch (value->kind) {
    case FF_NULL: put(out, "null", 4); return;
    case FF_BOOL: value->truth ? put(out, "true", 4) : put(out, "false", 5); return;
    case FF_NUMBER: put_number(out, value->number); return;
    case FF_TEXT: put_quoted(out, value->text); return;
    case FF_LIST:
    case FF_OBJECT: break;
    }
    bool object = value->kind == FF_OBJECT;
    put(out, object ? "{" : "[", 1);
    for (size_t i = 0; i < value->count; i++) {
        if (i > 0) put(out, ",", 1);
        if (object) {
            put_quoted(out, value->names[i]);
            put(out, ":", 1);
        }
        put_value(out, value->values[i]);
    }
    put(out, object ? "}" : "]", 1);
}

char *ff_write(const ff_json *value) {
    buffer out = {0};
    put_value(&out, value);
    put(&out, "", 1);
    return out.bytes;
}

/* ---- Reading ---- */

typedef struct {
    const char *at, *end;
    bool failed;
} reader;

static ff_json *read_value(reader *in, int level);

static void skip_spaces(reader *in) {
    while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != 0) in->at++;
}

static bool take(reader *in, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) return false;
    in->at += length;
    return true;
}

static bool take_after_spaces(reader *in, const char *word) {
    skip_spaces(in);
    return take(in, word);
}

static uint32_t read_hex(reader *in) {
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        char digit = in->at < in->end ? *in->at++ : 0;
        const char *digits = "0123456789abcdef", *found = digit ? strchr(digits, digit | 0x20) : NULL;
        if (found == NULL) in->failed = true;
        code = code * 16 + (found ? (uint32_t)(found - digits) : 0);
    }
    return code;
}

static void put_utf8(buffer *out, uint32_t code) {
    char bytes[4];
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
    static const unsigned char first[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    bytes[0] = (char)(first[length] | code);
    put(out, bytes, length);
}

static void read_escape(reader *in, buffer *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char letter = in->at < in->end ? *in->at++ : 0;
    const char *found = letter ? strchr(from, letter) : NULL;
    if (found != NULL) {
        put(out, &to[found - from], 1);
    } else if (letter == 'u') {
        uint32_t code = read_hex(in);
        if (code >= 0xd800 && code < 0xdc00 && take(in, "\\u")) {
            code = 0x10000 + ((code - 0xd800) << 10) + (read_hex(in) - 0xdc00);
        }
        /* Half a pair is no character, and a text of C ends at a 0. */
        bool wrong = code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
        put_utf8(out, wrong ? 0xfffd : code);
    } else {
        in->failed = true;
    }
}

static char *read_text(reader *in) {
    buffer out = {0};
    while (in->at < in->end && *in->at != '"' && !in->failed) {
        if (take(in, "\\")) {
            read_escape(in, &out);
        } else {
            put(&out, in->at++, 1);
        }
    }
    if (!take(in, "\"")) in->failed = true;
    put(&out, "", 1);
    return out.bytes;
}

static ff_json *read_members(reader *in, ff_kind kind, const char *end, int level) {
    ff_json *parent = of_kind(kind);
    if (take_after_spaces(in, end)) return parent;
    do {
        char *name = NULL;
        if (kind == FF_OBJECT) {
            if (!take_after_spaces(in, "\"")) in->failed = true;
            name = read_text(in);
            if (!take_after_spaces(in, ":")) in->failed = true;
        }
        add(parent, name, read_value(in, level + 1));
    } while (!in->failed && take_after_spaces(in, ","));
    if (!take_after_spaces(in, end)) in->failed = true;
    return parent;
}

static ff_json *read_number(reader *in) {
    char text[64] = {0};
    for (size_t i = 0; in->at < in->end && strchr("+-.eE0123456789", *in->at) && *in->at; in->at++) {
        if (i < sizeof text - 1) text[i++] = *in->at;
    }
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != 0) in->failed = true;
    return ff_number(number);
}

static ff_json *read_value(reader *in, int level) {
    skip_spaces(in);
    if (level > MAX_LEVELS) in->failed = true;
    if (in->failed) return of_kind(FF_NULL);
    if (take(in, "{")) return read_members(in, FF_OBJECT, "}", level);
    if (take(in, "[")) return read_members(in, FF_LIST, "]", level);
    if (take(in, "null")) return of_kind(FF_NULL);
    if (take(in, "true")) return ff_bool(true);
    if (take(in, "false")) return ff_bool(false);
    if (take(in, "\"")) {
        ff_json *value = of_kind(FF_TEXT);
        value->text = read_text(in);
        return value;
    }
    return read_number(in);
}

ff_json *ff_parse(const char *text, size_t length) {
    reader in = {text, text + length, false};
    ff_json *value = read_value(&in, 1);
    skip_spaces(&in);
    return in.failed || in.at != in.end ? NULL : value;
}
