/* SPDX-License-Identifier: MIT
 *
 * What depends on where the output goes: colours, line drawing, widths, whether it arrives. And
 * complaints, which all look alike.
 */
#include "cli.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

bool cli_use_colour(const cli_options *common, FILE *stream) {
  if (common->colour >= 0) return common->colour == 1;
  const char *refused = getenv("NO_COLOR"), *term = getenv("TERM");
  if ((refused && *refused) || !term || strcmp(term, "dumb") == 0) return false;
  return isatty(fileno(stream)) == 1;
}

bool cli_use_unicode(void) { return strcmp(nl_langinfo(CODESET), "UTF-8") == 0; }

static struct winsize window(FILE *stream) {
  struct winsize size = {0};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0) memset(&size, 0, sizeof size);
  return size;
}

unsigned cli_columns(FILE *stream) { return window(stream).ws_col; }

unsigned cli_lines(FILE *stream) { return window(stream).ws_row; }

size_t cli_text_width(const char *text) {
  mbstate_t state = {0};
  size_t width = 0, left = strlen(text);
  while (left) {
    wchar_t c;
    size_t n = mbrtowc(&c, text, left, &state);
    if (n == 0 || n > left) {
      /* Not in this locale's encoding: a byte is a column. */
      memset(&state, 0, sizeof state);
      n = 1;
      width++;
    } else {
      int columns = wcwidth(c);
      width += columns < 0 ? 1 : (size_t)columns;
    }
    text += n;
    left -= n;
  }
  return width;
}

void cli_print_safe(FILE *stream, const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    /* The C1 controls are two bytes in UTF-8. */
    if (c == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xa0) {
      text++;
      c = '?';
    }
    putc(c < 0x20 || c == 0x7f ? '?' : c, stream);
  }
}

void cli_complain(const char *command, const char *format, ...) {
  va_list args;
  char *text;
  va_start(args, format);
  if (vasprintf(&text, format, args) < 0) text = NULL;
  va_end(args);
  fflush(stdout);
  flockfile(stderr);
  fprintf(stderr, "copse%s%s: ", command ? " " : "", command ? command : "");
  cli_print_safe(stderr, text ? text : "out of memory");
  putc('\n', stderr);
  funlockfile(stderr);
  free(text);
}

bool cli_flush(const char *command) {
  static bool told;
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout)) return true;
  int error = errno; /* 0: it was an earlier write */
  struct pollfd reader = {STDOUT_FILENO, 0, 0};
  bool gone = error == EPIPE || (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR));
  if (!told && !gone)
    cli_complain(command, "the output could not be written%s%s", error ? ": " : "",
                 error ? strerror(error) : "");
  told = true;
  return false;
}

void cli_report(const cli_options *common, const copse_error *error) {
  copse_buf text;
  unsigned columns = cli_columns(stderr);
  copse_buf_init(&text, 1u << 20, NULL);
  copse_error_report(error, &text, cli_use_colour(common, stderr), columns < 100 ? columns : 100);
  fflush(stdout);
  fwrite(text.data, 1, text.size, stderr);
  /* Short of memory the message alone must do. */
  if (copse_buf_status(&text) != COPSE_OK || text.size == 0)
    fprintf(stderr, "copse: %s\n", copse_error_get(error)->message);
  else if (text.data[text.size - 1] != '\n') putc('\n', stderr);
  copse_buf_deinit(&text);
}
