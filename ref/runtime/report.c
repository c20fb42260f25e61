/* SPDX-License-Identifier: MIT
 *
 * The boxed report of an error.
 *
 * An error may come from three processes away, and whoever reads it at the root sees nothing else
 * of what happened there. So one report says what was raised and where, the path it came, what the
 * raising language knew of its stack, what the runtime knows of a death (`data`: signal, status,
 * the tail of stderr), and the errors behind it, each in a box within the box. Every line begins
 * with the frame, so that reports of several processes on one terminal stay apart.
 */
#include "runtime/internal.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH_DEFAULT = 100, WIDTH_MIN = 40, NESTING_MAX = 8, VALUE_MAX = 2048 };

typedef struct pen {
  copse_buf *out;
  bool colour;
  unsigned width, depth;
} pen;

static void put(pen *p, const char *text) { copse_buf_append(p->out, text, strlen(text)); }

/* Much of it is text of other processes, which must not steer the terminal (SEC-007): control
 * characters, those of two bytes too, become dots, a tab a blank. */
static void put_safe(pen *p, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    bool two = c == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0;
    char shown = c == '\t' ? ' ' : c < 0x20 || c == 0x7f || two ? '.' : text[i];
    copse_buf_append(p->out, &shown, 1);
    i += two;
  }
}

static void style(pen *p, const char *escape) {
  if (p->colour) put(p, escape);
}
#define RED "\033[31m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

/* The left frame of a line: one bar for each box that is open. */
static void begin(pen *p) {
  style(p, RED);
  for (unsigned i = 0; i <= p->depth; i++) put(p, "│ ");
  style(p, PLAIN);
}

/* Columns of `size` bytes, taking a character for a column. */
static size_t columns(const char *text, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < size; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
  return n;
}

/* How many bytes of the line make at most `width` columns, cut at a space where there is one. */
static size_t fitting(const char *text, size_t size, size_t width) {
  size_t n = 0, at = 0, space = 0;
  for (; at < size; at++) {
    if (((unsigned char)text[at] & 0xc0) != 0x80 && n++ == width) break;
    if (text[at] == ' ') space = at;
  }
  if (at == size) return size;
  return space > 0 ? space : at;
}

/* Text of any number of lines, wrapped, each line in the frame and indented. */
static void paragraph(pen *p, const char *text, unsigned indent) {
  size_t room = p->width - 2 * (p->depth + 1) - indent;
  while (*text) {
    size_t line = strcspn(text, "\n");
    const char *at = text;
    size_t left = line;
    do {
      size_t n = fitting(at, left, room);
      begin(p);
      for (unsigned i = 0; i < indent; i++) put(p, " ");
      put_safe(p, at, n);
      put(p, "\n");
      at += n;
      left -= n;
      while (left && *at == ' ') at++, left--;
    } while (left);
    text += line + (text[line] == '\n');
  }
}

static void labelled(pen *p, const char *label, const char *text) {
  begin(p);
  style(p, DIM);
  put_safe(p, label, strlen(label));
  style(p, PLAIN);
  put_safe(p, text, strlen(text));
  put(p, "\n");
}

static void rule(pen *p, const char *corner, const char *title) {
  size_t used = 2 * p->depth + 3;
  style(p, RED);
  for (unsigned i = 0; i < p->depth; i++) put(p, "│ ");
  put(p, corner);
  put(p, "─");
  if (title) {
    put(p, " ");
    style(p, BOLD);
    put_safe(p, title, strlen(title));
    style(p, PLAIN RED);
    put(p, " ");
    used += columns(title, strlen(title)) + 2;
  }
  for (; used < p->width; used++) put(p, "─");
  style(p, PLAIN);
  put(p, "\n");
}

/* `data`: a map key by key, with its texts (a tail of stderr) in full; else on one line. */
static void data(pen *p, copse_bytes value) {
  char text[VALUE_MAX], key[80];
  copse_reader reader;
  copse_token token;
  copse_reader_init(&reader, value);
  if (copse_read(&reader, &token) || token.type != COPSE_MAP) {
    copse_value_text(value, text, sizeof text);
    labelled(p, "data      ", text);
    return;
  }
  for (uint32_t pairs = token.count; pairs; pairs--) {
    copse_bytes k, v, string;
    if (copse_read_value(&reader, &k) || copse_read_value(&reader, &v)) return;
    if (!copse_value_str(k, &string)) {
      snprintf(key, sizeof key, "%-9.*s ", (int)(string.size < 64 ? string.size : 64),
               (const char *)string.data);
    } else {
      copse_value_text(k, text, sizeof text);
      snprintf(key, sizeof key, "%-9.64s ", text);
    }
    if (!copse_value_str(v, &string) && !string.size) continue; /* no stderr, nothing to tell */
    if (!copse_value_str(v, &string) && memchr(string.data, '\n', string.size)) {
      size_t n = string.size < sizeof text ? string.size : sizeof text - 1;
      memcpy(text, string.data + string.size - n, n); /* the end says more than the beginning */
      text[n] = 0;
      labelled(p, key, "");
      paragraph(p, text, 2);
    } else {
      copse_value_text(v, text, sizeof text);
      labelled(p, key, text);
    }
  }
}

static void box(pen *p, const copse_error_info *e) {
  char title[256], line[sizeof(copse_ref) + 64];
  snprintf(title, sizeof title, "%s%s%s%s%s", e->code, e->type[0] ? " (" : "", e->type,
           e->type[0] ? ")" : "", e->cancelled ? ", while being cancelled" : "");
  rule(p, "╭", title);
  paragraph(p, e->message, 0);
  if (e->has_actor || e->via_count) {
    begin(p);
    put(p, "\n");
  }
  if (e->has_actor) {
    snprintf(line, sizeof line, "%s", e->actor.name);
    labelled(p, "raised in ", line);
  }
  if (e->via_count) {
    begin(p);
    style(p, DIM);
    put(p, "came by   ");
    style(p, PLAIN);
    for (size_t i = 0; i < e->via_count; i++) {
      if (i) put(p, " → ");
      put_safe(p, e->via[i].name, strlen(e->via[i].name));
    }
    put(p, "\n");
  }
  if (e->data.size) data(p, e->data);
  if (e->stack[0]) {
    begin(p);
    put(p, "\n");
    paragraph(p, e->stack, 0);
  }
  for (size_t i = 0; i < e->cause_count; i++) {
    if (p->depth + 1 >= NESTING_MAX) {
      labelled(p, "", "(more causes below are left out)");
      break;
    }
    if (!i) {
      begin(p);
      put(p, "\n");
    }
    p->depth++;
    box(p, copse_error_get(e->causes[i]));
    p->depth--;
  }
  rule(p, "╰", NULL);
}

void copse_error_report(const copse_error *error, copse_buf *out, bool colour, unsigned width) {
  pen p = {.out = out, .colour = colour, .width = width ? width : WIDTH_DEFAULT};
  if (p.width < WIDTH_MIN) p.width = WIDTH_MIN;
  if (error) box(&p, copse_error_get(error));
}
