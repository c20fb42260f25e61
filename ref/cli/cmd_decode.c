/* SPDX-License-Identifier: MIT
 *
 * copse decode: what was said on a link, a line per frame.
 *
 * The reader is deliberately not the engine's: it holds no state machine, so it can begin anywhere
 * in a conversation, and it goes on after an error, because the frame after the wrong one is often
 * the interesting one. What it does check is what a frame shows by itself: the header, the
 * fragments, and that the payload is one value of the right shape.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char doc[] =
    "Print frames of the protocol as readable lines."
    "\v"
    "FILE (standard input without it) holds the bytes of a link, or their hexadecimal digits, "
    "which is "
    "found out unless --hex or --binary says so. In hexadecimal input a line may begin with "
    "`>` or `<`, which tells "
    "two directions apart, and a `#` begins a comment.\n"
    "\n"
    "Each line has the offset of the frame, its kind (`+` marks a fragment with more to come), "
    "context, length and payload. "
    "A fault is shown below its frame with the offset of the byte where it is.\n"
    "\n"
    "Exit status:\n"
    "  0  all frames are well-formed\n"
    "  1  some are not, or the digits are none\n"
    "  2  wrong usage\n"
    "  3  FILE cannot be read\n";

enum { OPTION_HEX = 'x', OPTION_BINARY = 'b', OPTION_WIDTH = 'w' };

static const struct argp_option options[] = {
    {"hex", OPTION_HEX, NULL, 0, "The input is hexadecimal digits", 1},
    {"binary", OPTION_BINARY, NULL, 0, "The input is bytes", 1},
    {"width", OPTION_WIDTH, "COLUMNS", 0,
     "Cut lines at this width (0: not at all; default: the terminal's)", 1},
    {0}};

/* What the kinds of frames carry, as far as one frame shows it. */
enum { CARRIES_NOTHING, CARRIES_VALUE, CARRIES_MAP, CARRIES_CREDIT };

typedef struct frame_shape {
  uint8_t kind;
  bool link;      /* belongs to context 0 */
  bool fragments; /* may be split */
  uint8_t carries;
  uint32_t maximum; /* of its payload, 0: the frame limit */
  const char *colour;
} frame_shape;

static const frame_shape shapes[] = {
    {COPSE_KIND_HELLO, true, false, CARRIES_MAP, 16384, "\033[36m"},
    {COPSE_KIND_BYE, true, false, CARRIES_MAP, 16384, "\033[36m"},
    {COPSE_KIND_PING, true, false, CARRIES_VALUE, 1024, "\033[36m"},
    {COPSE_KIND_PONG, true, false, CARRIES_VALUE, 1024, "\033[36m"},
    {COPSE_KIND_OPEN, false, true, CARRIES_MAP, 0, "\033[1m"},
    {COPSE_KIND_STARTED, false, true, CARRIES_VALUE, 0, "\033[1m"},
    {COPSE_KIND_ITEM, false, true, CARRIES_VALUE, 0, ""},
    {COPSE_KIND_END, false, false, CARRIES_NOTHING, 0, ""},
    {COPSE_KIND_STOP, false, false, CARRIES_NOTHING, 0, ""},
    {COPSE_KIND_CREDIT, false, false, CARRIES_CREDIT, 1024, "\033[2m"},
    {COPSE_KIND_CANCEL, false, false, CARRIES_MAP, 1024, "\033[33m"},
    {COPSE_KIND_RETURN, false, true, CARRIES_VALUE, 0, "\033[32m"},
    {COPSE_KIND_ERROR, false, true, CARRIES_MAP, 0, "\033[31m"},
    {COPSE_KIND_CANCELLED, false, true, CARRIES_MAP, 0, "\033[33m"},
};

static const frame_shape *shape_of(unsigned kind) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    if (shapes[i].kind == kind) return &shapes[i];
  }
  return NULL;
}

/* Messages of a direction that may be unfinished at a time: many times what a peer takes unless it
 * says otherwise. Each fragment is looked for among them. */
#define PARTIALS_MAX 256

/* A message of which fragments have come. */
typedef struct partial {
  uint64_t context;
  uint8_t kind;
  copse_buf bytes;
  struct partial *next;
} partial;

/* The bytes of one direction. */
typedef struct stream {
  char mark; /* '>', '<', or ' ' when only one is known */
  uint8_t *data;
  size_t *offsets; /* where in the input each byte stood; NULL: at its own index */
  size_t size, at, capacity;
  partial *partials; /* the one begun last is first */
  size_t partial_count;
} stream;

typedef struct decoder {
  cli_options *common;
  const char *file;
  int format; /* 0, OPTION_HEX, OPTION_BINARY */
  long width; /* -1: the terminal's */
  bool colour, marks;
  stream streams[2];
  uint64_t faults;
} decoder;

/* --- output ----------------------------------------------------------------------------------- */

static size_t offset_of(const stream *s, size_t at) {
  if (!s->offsets) return at;
  return at < s->size ? s->offsets[at] : s->size ? s->offsets[s->size - 1] + 1 : 0;
}

static void fault(decoder *d, const stream *s, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void fault(decoder *d, const stream *s, size_t at, const char *format, ...) {
  va_list args;
  d->faults++;
  printf("%s%08zx %s ! ", d->colour ? "\033[31m" : "", offset_of(s, at), d->marks ? "  " : "");
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  if (at < s->size) printf(" (byte %02x)", s->data[at]);
  puts(d->colour ? "\033[0m" : "");
}

/* Cuts a text after `columns` columns, at a character. */
static void print_cut(const char *text, size_t columns) {
  size_t used = 0, room = columns && cli_text_width(text) > columns ? columns - 3 : columns;
  char character[8];
  while (*text) {
    size_t n = 1;
    while (n < 6 && ((unsigned char)text[n] & 0xc0) == 0x80) n++;
    memcpy(character, text, n);
    character[n] = '\0';
    used += cli_text_width(character);
    if (columns && used > room) {
      fputs("...", stdout);
      return;
    }
    cli_print_safe(stdout, character);
    text += n;
  }
}

static void print_frame(decoder *d, const stream *s, size_t at, const char *kind,
                        const frame_shape *shape, bool more, uint64_t context, size_t length,
                        const char *text) {
  char head[96];
  int n = snprintf(head, sizeof head, "%08zx ", offset_of(s, at));
  if (d->marks) n += snprintf(head + n, sizeof head - (size_t)n, "%c ", s->mark);
  const char *colour = d->colour && shape ? shape->colour : "";
  char label[32];
  snprintf(label, sizeof label, "%s%s", kind, more ? "+" : "");
  printf("%s%s%-10s%s", head, colour, label, *colour ? "\033[0m" : "");
  n += snprintf(head, sizeof head, " %6" PRIu64 " %8zu  ", context, length) + 10;
  fputs(head, stdout);
  print_cut(text, d->width > n + 10 ? (size_t)(d->width - n) : d->width > 0 ? 10 : 0);
  putchar('\n');
}

/* --- messages --------------------------------------------------------------------------------- */

static partial **find_partial(stream *s, uint64_t context) {
  partial **p = &s->partials;
  while (*p && (*p)->context != context) p = &(*p)->next;
  return p;
}

static void drop_partial(stream *s, partial **p) {
  partial *gone = *p;
  *p = gone->next;
  s->partial_count--;
  copse_buf_deinit(&gone->bytes);
  free(gone);
}

/* Where memory is short, it is not there afterwards. */
static void begin_partial(stream *s, uint64_t context, unsigned kind) {
  partial *fresh = calloc(1, sizeof *fresh);
  if (!fresh) return;
  fresh->context = context;
  fresh->kind = (uint8_t)kind;
  fresh->next = s->partials;
  copse_buf_init(&fresh->bytes, 256u << 20, NULL);
  s->partials = fresh;
  s->partial_count++;
}

/* Gives up the message begun first where there are too many. */
static void bound_partials(decoder *d, stream *s, size_t at) {
  if (s->partial_count <= PARTIALS_MAX) return;
  partial **p = &s->partials;
  while ((*p)->next) p = &(*p)->next;
  fault(d, s, at, "more than %d unfinished messages: that of context %" PRIu64 " is given up",
        PARTIALS_MAX, (*p)->context);
  drop_partial(s, p);
}

/* Whether CREDIT's value is an array of two counts. */
static bool is_credit(copse_bytes value) {
  copse_reader reader;
  copse_token token;
  copse_reader_init(&reader, value);
  if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_ARRAY || token.count != 2)
    return false;
  for (int i = 0; i < 2; i++) {
    if (copse_read(&reader, &token) != COPSE_OK || token.type != COPSE_INT || token.integer < 0)
      return false;
  }
  return true;
}

/* Judges a complete message. `at` is where the payload stands in the stream, or that of its last
 * fragment when `joined`. */
static void check_message(decoder *d, const stream *s, const frame_shape *shape, copse_bytes value,
                          size_t at, bool joined) {
  const char *why = NULL;
  size_t offset = 0;
  if (shape->carries == CARRIES_NOTHING) {
    if (value.size) fault(d, s, at, "%s carries no payload", copse_kind_name(shape->kind));
  } else if (value.size == 0) {
    fault(d, s, at, "%s carries one value, and here is none", copse_kind_name(shape->kind));
  } else if (copse_value_check(value, &why, &offset) != COPSE_OK) {
    if (joined) fault(d, s, at, "byte %zu of the whole message: %s", offset, why);
    else fault(d, s, at + offset, "%s", why);
  } else if (shape->carries == CARRIES_MAP && copse_value_type(value) != COPSE_MAP) {
    fault(d, s, at, "the payload of %s is a map", copse_kind_name(shape->kind));
  } else if (shape->carries == CARRIES_CREDIT && !is_credit(value)) {
    fault(d, s, at, "the payload of CREDIT is [items, bytes], two counts");
  }
}

static char *value_text(copse_bytes value, char *text, size_t size) {
  text[0] = '\0';
  if (value.size && copse_value_check(value, NULL, NULL) == COPSE_OK) {
    copse_value_text(value, text, size);
  } else if (value.size) {
    size_t n = 0;
    for (size_t i = 0; i < value.size && n + 8 < size; i++)
      n += (size_t)snprintf(text + n, size - n, "%s%02x", i ? " " : "bytes ", value.data[i]);
  }
  return text;
}

/* One whole frame at s->at; `length` bytes of payload are there. */
static void decode_frame(decoder *d, stream *s, size_t length) {
  static char text[65536];
  const uint8_t *header = s->data + s->at;
  size_t at = s->at, payload = s->at + COPSE_HEADER_SIZE;
  unsigned kind = header[3] & 0x7f;
  bool more = header[3] & 0x80;
  uint64_t context = 0;
  for (size_t i = 4; i < 12; i++) context = context << 8 | header[i];
  const frame_shape *shape = shape_of(kind);
  copse_bytes value = {s->data + payload, length};
  s->at += COPSE_HEADER_SIZE + length;

  if (!shape) {
    char name[32];
    snprintf(name, sizeof name, "kind %02x", kind);
    print_frame(d, s, at, name, NULL, more, context, length, value_text(value, text, sizeof text));
    if (kind < 0x40) fault(d, s, at + 3, "there is no such kind of frame; extensions are 40 to 7f");
    return;
  }
  partial **p = find_partial(s, context);
  bool continues = *p && (*p)->kind == kind;
  if (more || continues) {
    if (!continues && *p) drop_partial(s, p);
    if (!continues) {
      begin_partial(s, context, kind);
      p = find_partial(s, context);
    }
    if (*p) copse_buf_append(&(*p)->bytes, value.data, value.size);
  }
  if (more) {
    snprintf(text, sizeof text, "(a fragment)");
  } else if (continues) {
    value_text(copse_buf_bytes(&(*p)->bytes), text, sizeof text);
  } else {
    value_text(value, text, sizeof text);
  }
  print_frame(d, s, at, copse_kind_name(kind), shape, more, context, length, text);

  if (shape->link && context != 0)
    fault(d, s, at + 4, "%s belongs to the link: context 0", copse_kind_name(kind));
  if (!shape->link && context == 0)
    fault(d, s, at + 4, "context 0 is the link, %s needs another", copse_kind_name(kind));
  if (context >> 53) fault(d, s, at + 4, "contexts are numbered below 2^53");
  if (shape->maximum && length > shape->maximum)
    fault(d, s, at, "%s carries at most %" PRIu32 " bytes", copse_kind_name(kind), shape->maximum);
  if (more && !shape->fragments)
    fault(d, s, at + 3, "%s is never split into fragments", copse_kind_name(kind));
  if (more && length == 0) fault(d, s, at, "a fragment with more to come is not empty");
  if (!more) {
    if (continues && copse_buf_status(&(*p)->bytes) == COPSE_OK)
      check_message(d, s, shape, copse_buf_bytes(&(*p)->bytes), payload, true);
    else if (!continues) check_message(d, s, shape, value, payload, false);
    bool ends = shape->carries != CARRIES_CREDIT && kind != COPSE_KIND_STOP;
    if (continues || (*p && ends)) drop_partial(s, p);
  }
  bound_partials(d, s, at);
}

/* Decodes the next frame of a stream; false when what is left is none. */
static bool decode_next(decoder *d, stream *s) {
  size_t left = s->size - s->at;
  if (left == 0) return false;
  if (left < COPSE_HEADER_SIZE) {
    fault(d, s, s->at, "the input ends inside a header: %zu of %d bytes", left, COPSE_HEADER_SIZE);
    return false;
  }
  const uint8_t *header = s->data + s->at;
  size_t length = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
  if (left - COPSE_HEADER_SIZE < length) {
    unsigned kind = header[3] & 0x7f;
    fault(d, s, s->at, "the input ends inside a frame: kind %02x (%s), %zu of %zu bytes of payload",
          kind, shape_of(kind) ? copse_kind_name(kind) : "unknown", left - COPSE_HEADER_SIZE,
          length);
    return false;
  }
  decode_frame(d, s, length);
  return true;
}

/* --- input ------------------------------------------------------------------------------------ */

static bool append_byte(stream *s, uint8_t byte, size_t offset) {
  if (s->size == s->capacity) {
    size_t capacity = s->capacity ? s->capacity * 2 : 4096;
    uint8_t *data = realloc(s->data, capacity);
    if (data) s->data = data;
    size_t *offsets = data ? realloc(s->offsets, capacity * sizeof *offsets) : NULL;
    if (offsets) s->offsets = offsets;
    if (!data || !offsets) return false;
    s->capacity = capacity;
  }
  s->data[s->size] = byte;
  s->offsets[s->size++] = offset;
  return true;
}

static bool looks_like_hex(const copse_buf *input) {
  size_t digits = 0;
  bool comment = false;
  for (size_t i = 0; i < input->size; i++) {
    unsigned char c = input->data[i];
    if (c == '\n') comment = false;
    if (comment ? c != '\t' && c < 0x20 && !isspace(c)
                : !isxdigit(c) && !isspace(c) && !strchr("<>#", c))
      return false;
    if (c == 0) return false;
    if (c == '#') comment = true;
    if (!comment && isxdigit(c)) digits++;
  }
  return digits > 0;
}

/* Where in the conversation the frames of the second direction stand is known line by line, so
 * those of a line are printed before the next is read. */
static int decode_hex(decoder *d, const copse_buf *input) {
  stream *s = &d->streams[0];
  int high = -1;
  bool line_begins = true;
  size_t line = 1, bytes = 0;
  for (size_t i = 0; i < input->size; i++)
    d->marks |=
        (input->data[i] == '>' || input->data[i] == '<') && (i == 0 || input->data[i - 1] == '\n');
  for (size_t i = 0; i < input->size; i++) {
    unsigned char c = input->data[i];
    if (c == '#') {
      while (i + 1 < input->size && input->data[i + 1] != '\n') i++;
    } else if (c == '\n') {
      line_begins = true;
      line++;
      while (
          s->size - s->at >= COPSE_HEADER_SIZE &&
          s->size - s->at - COPSE_HEADER_SIZE >=
              ((size_t)s->data[s->at] << 16 | (size_t)s->data[s->at + 1] << 8 | s->data[s->at + 2]))
        decode_next(d, s);
    } else if (line_begins && (c == '>' || c == '<')) {
      s = &d->streams[c == '<'];
      line_begins = false;
    } else if (isxdigit(c)) {
      int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
      line_begins = false;
      if (high < 0) {
        high = digit;
        continue;
      }
      if (!append_byte(s, (uint8_t)(high << 4 | digit), bytes++)) {
        cli_complain("decode", "out of memory");
        return CLI_FAILED;
      }
      high = -1;
      continue;
    } else if (!isspace(c)) {
      cli_complain("decode", "line %zu: '%c' is no hexadecimal digit; comments begin with #", line,
                   isprint(c) ? c : '?');
      return CLI_FAILED;
    }
    if (high >= 0) {
      cli_complain("decode", "line %zu: a byte has two digits, and one stands alone", line);
      return CLI_FAILED;
    }
  }
  if (high >= 0) {
    cli_complain("decode", "line %zu: a byte has two digits, and one stands alone", line);
    return CLI_FAILED;
  }
  for (int i = 0; i < 2; i++) {
    while (decode_next(d, &d->streams[i]))
      ;
  }
  return CLI_OK;
}

static int read_input(decoder *d, copse_buf *input) {
  int fd = STDIN_FILENO;
  static char space[65536];
  if (d->file && strcmp(d->file, "-") != 0) fd = open(d->file, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : 1;
  while (n > 0 && (n = read(fd, space, sizeof space)) > 0)
    copse_buf_append(input, space, (size_t)n);
  int error = errno;
  if (fd > STDIN_FILENO) close(fd);
  if (n < 0) {
    cli_complain("decode", "cannot read %s: %s", d->file ? d->file : "standard input",
                 strerror(error));
    return CLI_NOT_FOUND;
  }
  if (copse_buf_status(input) != COPSE_OK) {
    cli_complain("decode", "the input is too large: %s",
                 copse_status_text(copse_buf_status(input)));
    return CLI_FAILED;
  }
  return CLI_OK;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  decoder *d = state->input;
  char *end;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = d->common; return 0;
  case OPTION_HEX:
  case OPTION_BINARY: d->format = key; return 0;
  case OPTION_WIDTH:
    d->width = strtol(arg, &end, 10);
    if (end == arg || *end || d->width < 0 || d->width > 1000000)
      argp_error(state, "--width takes a number of columns, not '%s'", arg);
    return 0;
  case ARGP_KEY_ARG:
    if (state->arg_num > 0) argp_error(state, "one file at a time");
    d->file = arg;
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

int cmd_decode(cli_options *common, int argc, char **argv) {
  static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
  static const struct argp argp = {
      .options = options, .parser = parse, .args_doc = "[FILE]", .doc = doc, .children = children};
  decoder d = {.common = common, .width = -1};
  copse_buf input;
  if (argp_parse(&argp, argc, argv, 0, NULL, &d) != 0) return CLI_USAGE;
  if (d.width < 0) d.width = cli_columns(stdout);
  d.colour = cli_use_colour(common, stdout);
  d.streams[0].mark = '>';
  d.streams[1].mark = '<';

  copse_buf_init(&input, (size_t)1 << 30, NULL);
  int status = read_input(&d, &input);
  bool hex = d.format == OPTION_HEX || (d.format == 0 && looks_like_hex(&input));
  if (status == CLI_OK && hex) status = decode_hex(&d, &input);
  if (status == CLI_OK && !hex) {
    d.streams[0].data = input.data;
    d.streams[0].size = input.size;
    while (decode_next(&d, &d.streams[0]))
      ;
  }
  if (status == CLI_OK && input.size == 0) fprintf(stderr, "copse decode: the input is empty\n");
  for (int i = 0; i < 2; i++) {
    while (d.streams[i].partials) drop_partial(&d.streams[i], &d.streams[i].partials);
    free(d.streams[i].offsets);
    if (hex) free(d.streams[i].data);
  }
  copse_buf_deinit(&input);
  if (!cli_flush("decode") && status == CLI_OK) status = CLI_FAILED;
  return status == CLI_OK && d.faults ? CLI_FAILED : status;
}
